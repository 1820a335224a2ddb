"""How long a file of many prompts takes and how much memory: seconds, seconds of the CPU, and the largest process.

python benchmarks/bench_batch.py [--prompts 10000] [--steps 2] [--jobs 1 2]
"""
import argparse, json, os, platform, sys, tempfile, time
from pathlib import Path

from text2pose.core import asset

HERE = Path(__file__).parent
WAYS = ['', 'slowly', 'with force', 'as if tired', 'as if dancing', 'like a child', 'on a beach', 'in the rain',
        'at night', 'before a crowd']
PEOPLE = ['', 'a man: ', 'a woman: ', 'someone: ', 'a tall person: ']

def make_prompts(n):
    "Different prompts: those of the evaluation, with who and how."
    lines = asset('prompts.jsonl').read_text(encoding='utf-8').splitlines()
    prompts = [json.loads(line)['prompt'] for line in lines]
    every = [f'{who}{p} {how}'.strip() for how in WAYS for who in PEOPLE for p in prompts]
    return list(dict.fromkeys(every))[:n]

def run(prompts, out, jobs, steps):
    "Times and memory of one command."
    code = 'from text2pose.cli import main; main()'
    args = ['generate', '--prompts', prompts, '-n', '1', '--jobs', str(jobs), '--out', out]
    if steps: args += ['--steps', str(steps)]
    start = time.perf_counter()
    pid = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, '-c', code, *map(str, args)])
    _,status,usage = os.wait4(pid, 0)
    if status: sys.exit(f'exit status {os.waitstatus_to_exitcode(status)}')
    return dict(seconds=round(time.perf_counter()-start, 1), cpu_seconds=round(usage.ru_utime+usage.ru_stime, 1),
                peak_megabytes=round(usage.ru_maxrss/1024))

def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--prompts', type=int, default=10_000)
    parser.add_argument('--steps', type=int, default=2, help='0: what the weights recommend')
    parser.add_argument('--jobs', type=int, nargs='+', default=[1,2])
    parser.add_argument('--out', type=Path, default=HERE/'batch.json')
    a = parser.parse_args()
    command = f'python benchmarks/bench_batch.py --prompts {a.prompts} --steps {a.steps}'
    found = dict(command=command, n_poses_per_prompt=1, cpus=os.cpu_count(), processor=platform.machine(),
                 load_before=round(os.getloadavg()[0], 1), runs={})
    with tempfile.TemporaryDirectory() as tmp:
        path = Path(tmp)/'prompts.txt'
        prompts = make_prompts(a.prompts)
        path.write_text('\n'.join(prompts)+'\n', encoding='utf-8')
        for jobs in a.jobs:
            out = Path(tmp)/f'jobs{jobs}'
            numbers = run(path, out, jobs, a.steps)
            files = [p for p in out.rglob('*') if p.is_file()]
            n_bytes = sum(p.stat().st_size for p in files)
            numbers |= dict(prompts=len(prompts), files=len(files), megabytes=round(n_bytes/1e6, 1))
            found['runs'][f'jobs {jobs}'] = numbers
            print(f'jobs {jobs}: {numbers}', flush=True)
            a.out.write_text(json.dumps(found, indent=1)+'\n')

if __name__=='__main__': main()
