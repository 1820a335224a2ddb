"Schedules, prediction types and samplers, where rounding or an odd number of steps could break them."
import numpy as np
import pytest
import torch
from text2pose.diffusion import (
    PREDICTION_TYPES, SAMPLERS, SCHEDULES, add_noise, alphas_cumprod, ddim_step, ddim_timesteps, eps_from_x_0,
    make_sampler, make_scheduler, to_x_0_eps, training_target, zero_snr_betas)

def perfect_run(sampler, schedule, n_steps, target, noise):
    "Sample with a network that knows the target."
    alphas = alphas_cumprod(schedule)
    steps = make_sampler(sampler, schedule, alphas, 'v_prediction', n_steps)
    x = steps.start(noise)
    generators = [torch.Generator().manual_seed(i) for i in range(len(noise))]
    for i,t in enumerate(steps.timesteps):
        seen = steps.seen(x, i)
        x = steps.step(target, eps_from_x_0(target, seen, t, alphas), i, x, generators)
    return x

@pytest.mark.parametrize('kind', PREDICTION_TYPES)
@pytest.mark.parametrize('schedule', ['squaredcos','squaredcos_clipped','linear'])
@pytest.mark.parametrize('n_steps', [1,2,7,20,333,1000])
def test_a_perfect_network_arrives(kind, schedule, n_steps):
    alphas = alphas_cumprod(schedule)
    g = torch.Generator().manual_seed(0)
    x,target = (torch.randn(2,22,3,generator=g,dtype=torch.float64) for _ in range(2))
    timesteps = ddim_timesteps(n_steps)
    for t,next_t in zip(timesteps, [*timesteps[1:], None]):
        perfect = training_target(target, eps_from_x_0(target, x, t, alphas), t, alphas, kind)
        x = ddim_step(*to_x_0_eps(perfect, x, t, alphas, kind), next_t, alphas)
    torch.testing.assert_close(x, target, atol=1e-6, rtol=0)

@pytest.mark.parametrize('sampler', SAMPLERS)
@pytest.mark.parametrize('schedule', SCHEDULES)
@pytest.mark.parametrize('n_steps', [5,20,50])
def test_every_sampler_arrives(sampler, schedule, n_steps):
    g = torch.Generator().manual_seed(0)
    noise,target = (torch.randn(2,22,3,generator=g,dtype=torch.float64) for _ in range(2))
    if schedule=='squaredcos_zero_snr' and sampler in ('dpm++','unipc'):
        with pytest.raises(ValueError, match='leaves none'): perfect_run(sampler, schedule, n_steps, target, noise)
        return
    made = perfect_run(sampler, schedule, n_steps, target, noise)
    assert torch.isfinite(made).all()
    torch.testing.assert_close(made, target, atol=.05, rtol=0)

@pytest.mark.parametrize('sampler', SAMPLERS)
def test_fresh_noise_belongs_to_a_pose(sampler):
    g = torch.Generator().manual_seed(0)
    noise,target = (torch.randn(3,22,3,generator=g,dtype=torch.float64) for _ in range(2))
    both = perfect_run(sampler, 'squaredcos', 10, target, noise)
    alone = perfect_run(sampler, 'squaredcos', 10, target[:1], noise[:1])
    torch.testing.assert_close(alone, both[:1], atol=1e-8, rtol=0)

def test_a_schedule_that_ends_without_signal():
    betas = zero_snr_betas()
    assert betas[-1]==1 and (betas>0).all() and (np.diff(np.cumprod(1-betas))<0).all()
    assert betas[0]==pytest.approx(4.1e-5, rel=.02)

def test_noise_says_nothing_where_no_signal_is_left():
    alphas = alphas_cumprod('squaredcos_zero_snr')
    x_0,eps = torch.randn(2,22,3), torch.randn(2,22,3)
    for kind in ('v_prediction','sample'):
        target = training_target(x_0, eps, 999, alphas, kind)
        torch.testing.assert_close(to_x_0_eps(target, add_noise(x_0, eps, 999, alphas), 999, alphas, kind)[0], x_0)

def test_a_scheduler_is_not_changed_by_a_run():
    scheduler = make_scheduler('dpm++')
    before = dict(scheduler.config)
    make_sampler(scheduler, 'squaredcos', alphas_cumprod(), 'v_prediction', 7)
    assert dict(scheduler.config)==before and scheduler.num_inference_steps is None
