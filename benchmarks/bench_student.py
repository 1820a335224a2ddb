"""Paths of the teacher, a student that learns them, and both side by side: writes benchmarks/student.json.

    python benchmarks/bench_student.py paths PATHS --table open.parquet --files 40  # 5,120 paths each, goes on
    python benchmarks/bench_student.py train PATHS --out OUT --steps 6000           # resumes
    python benchmarks/bench_student.py judge                                        # benchmarks/student.json

A student of the weights in the package; OUT/student.safetensors goes beside them.
"""
import argparse, json, platform, time
from pathlib import Path
import numpy as np
import torch
from tqdm import tqdm
from text2pose.core import asset, atomic_path
from text2pose.data import read_pose_table
from text2pose.student import load_student, teacher_name
from text2pose.library import atlas_library
from text2pose.cfg import GUIDANCE_INTERVAL, GUIDANCE_SCALE, Text2PosePipeline
from text2pose.dataset import TrainingSet
from text2pose.eval import caption_adherence, naturalness, prompt_adherence, read_prompts, side_accuracy
from text2pose.train import _commit
from text2pose.distill import KEPT, Paths, StudentTrainer, make_paths, student_config

N_VAL = 1  # files that are kept back: the first

def load_paths(pipe, folder, use=None):
    "(to learn from, held out): Paths."
    files = sorted(folder.glob('*.safetensors'))
    exemplars = pipe.model.normalize(pipe.memory.joints)
    return Paths(files[N_VAL:], exemplars, use), Paths(files[:N_VAL], exemplars, use)

def paths(a, pipe):
    "Make path files."
    data = TrainingSet(read_pose_table(a.table))
    own = dict(captions=128//a.each, poses_per_caption=a.each)
    if a.student: own |= dict(student=load_student(a.student, teacher_name(pipe.model, pipe.scorer)), kept=KEPT[1:])
    make_paths(pipe, data, a.folder, a.files, progress=lambda some: tqdm(some, disable=None), **own)

def train(a, pipe):
    "Train, or go on."
    learn,val = load_paths(pipe, a.folder, (0,-1) if a.jumps==1 else None)
    print(f'{len(learn):,} paths, {len(val):,} held out', flush=True)
    config = student_config(n_steps=a.steps, batch_size=a.batch_size, lr=a.lr, seed=a.seed)
    own = Paths(sorted(a.own.glob('*.safetensors')), learn.library) if a.own else None
    trainer = StudentTrainer(config, learn, pipe, val, own, json.loads(a.net), a.start, cpu=True)
    begin = time.perf_counter()
    def told(steps):
        for i in steps:
            yield i
            if trainer.log and trainer.log[-1]['step']==trainer.step and 'val' in trainer.log[-1]:
                print(f'{trainer.step} {time.perf_counter()-begin:.0f} s', trainer.log[-1], flush=True)
                trainer.save_weights(trainer.averaged(), a.out)
    trainer.fit(a.out, log_every=20, checkpoint_every=200, progress=told)
    trainer.save(a.out, 'student of the weights in the package')

# ---- Side by side ---------------------------------------------------------------------------------------------------

def seconds(pipe, prompts, n, runs, **kwargs):
    "Median and least of so many runs."
    pipe(prompts, n, **kwargs)
    taken = []
    for _ in range(runs):
        begin = time.perf_counter()
        pipe(prompts, n, **kwargs)
        taken.append(time.perf_counter()-begin)
    return dict(median=float(np.median(taken)), least=min(taken))

def measured(pipe, name, n_poses, seeds, **kwargs):
    "Prompts followed, sides, naturalness and stated codes, enforcement off; mean over seeds."
    rows = []
    for seed in seeds:
        results = prompt_adherence(pipe, read_prompts(), n_poses, seed, **kwargs)
        by_split = {s:rate_of([r for r in results if r['split']==s]) for s in ('dev','val')}
        sides = side_accuracy(results)
        natural = naturalness(np.stack([r['joints'] for r in results]))
        codes = caption_adherence(pipe, held_out_poses(), seed, **kwargs)['hold']
        rows.append(dict(by_split, one_side=sides[0], both_twins=sides[1], codes=codes, **natural))
    out = dict(name=name, seeds=list(seeds), **{k:float(np.mean([row[k] for row in rows])) for k in rows[0]})
    print(' '.join(f'{k} {v:.3f}' for k,v in out.items() if isinstance(v, float)), name, flush=True)
    return out

def rate_of(results): return float(np.mean([r['followed'] for r in results]))

def held_out_poses():
    "Poses of the atlas that no training saw."
    return atlas_library().of_split('val').joints

def judge(a, pipe):
    "Teacher and student by the same measures; the times of one pose and of 256."
    ways = {f'teacher, {n} steps':dict(num_inference_steps=n, guidance_scale=GUIDANCE_SCALE,
                                       guidance_interval=GUIDANCE_INTERVAL) for n in a.teacher_steps}
    students = {f'student, {len(s.jumps)} jump{"s"*(len(s.jumps)>1)}':s for s in
                (load_student(path, teacher_name(pipe.model, pipe.scorer)) for path in a.students)}
    table = []
    some = [p['prompt'] for p in read_prompts('dev')[:64]]
    for name in [*ways,*students]:
        kwargs = ways.get(name, {})
        if name in students:
            pipe.student,kwargs = students[name],dict(num_inference_steps=len(students[name].jumps))
            pipe.jumper = pipe.student
        row = measured(pipe, name, a.poses, range(a.seeds), **kwargs)
        row |= dict(one_pose=seconds(pipe, some[0], 1, 20, **kwargs), batch=seconds(pipe, some, 4, 2, **kwargs))
        table.append(row)
    notes = dict(command='python benchmarks/bench_student.py judge', machine=platform.machine(),
                 torch=torch.__version__, threads=torch.get_num_threads(), commit=_commit())
    with atomic_path(a.out) as tmp: tmp.write_text(json.dumps(dict(notes, rows=table), indent=1)+'\n')

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--threads', type=int, default=1)
    sub = p.add_subparsers(required=True)
    q = sub.add_parser('paths')
    q.set_defaults(run=paths)
    q.add_argument('folder', type=Path)
    q.add_argument('--table', type=Path, required=True)
    q.add_argument('--files', type=int, default=40)
    q.add_argument('--each', type=int, default=2, help='paths of each caption')
    q.add_argument('--student', type=Path, help='paths that go on from its first jump')
    q = sub.add_parser('train')
    q.set_defaults(run=train)
    q.add_argument('folder', type=Path)
    q.add_argument('--out', type=Path, required=True)
    q.add_argument('--steps', type=int, default=6000)
    q.add_argument('--batch-size', type=int, default=512)
    q.add_argument('--lr', type=float, default=1e-3)
    q.add_argument('--seed', type=int, default=0)
    q.add_argument('--net', default='{}', help='arguments of JumpNet, JSON')
    q.add_argument('--jumps', type=int, default=2, choices=(1,2))
    q.add_argument('--own', type=Path, help='folder of paths that go on from a student\'s first jump')
    q.add_argument('--start', type=Path, help='a student to go on from')
    q = sub.add_parser('judge')
    q.set_defaults(run=judge)
    q.add_argument('students', type=Path, nargs='*', default=[asset('weights/student.safetensors')])
    q.add_argument('--poses', type=int, default=4)
    q.add_argument('--seeds', type=int, default=3)
    q.add_argument('--teacher-steps', type=int, nargs='*', default=[1,2,4,6,10,20])
    q.add_argument('--out', type=Path, default=Path(__file__).with_name('student.json'))
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    a.run(a, Text2PosePipeline.from_pretrained())

if __name__=='__main__': main()
