"""Feeds spoilt files to every reader, each case with limits on time and memory, and counts what happens.

    python tests/faults/campaign.py [--cases 10500] [--out benchmarks/faults.json] [--reader NAME] [--seed N]

A case is refused in a sentence (ValueError or OSError that names a file), read well, or wrong: another exception, a
crash, more than SECONDS of processor time, more than MEMORY beyond what the process had, or content that breaks the
contract. A worker process takes case after case; the kernel ends it where a case takes too long, and another worker
goes on behind that case.
"""
import argparse, faulthandler, itertools, json, os, re, resource, shutil, signal, sys, tempfile, time, traceback, warnings, zlib
from pathlib import Path

HERE = Path(__file__).parent
SECONDS,WALL,MEMORY = 10,120,2**30
LONGEST = 1500  # characters of a sentence

def spoilt(reader, seed):
    "The files of a case, and the names of those that were spoilt."
    import numpy as np
    from mutate import damage, pick
    rng = np.random.default_rng([zlib.crc32(reader.name.encode()), seed])
    files = dict(pick(rng, reader.make()))
    here = [name for name in reader.kinds if name in files]
    some = [pick(rng, here)] if rng.random()<.8 else here
    for name in some: files[name] = damage(rng, files[name], reader.kinds[name])
    if reader.paths and rng.random()<.03: files[pick(rng, some)] = pick(rng, list(ODD_PATHS))
    return files, some

def spoiling(reader, n):
    "The first n seeds whose cases are spoilt: some damages change nothing."
    seeds = (seed for seed in itertools.count() if spoilt(reader, seed)[0]!=reader.make()[0])
    return list(itertools.islice(seeds, n))

def _socket(path):
    import socket
    with socket.socket(socket.AF_UNIX) as s: s.bind(os.path.relpath(path))  # an address has 107 characters at most

# what may be at a path instead of a file
ODD_PATHS = dict(folder=Path.mkdir, fifo=os.mkfifo, loop=lambda p: p.symlink_to(p.name),
                 nowhere=lambda p: p.symlink_to('nowhere'), zeros=lambda p: p.symlink_to('/dev/zero'),
                 null=lambda p: p.symlink_to('/dev/null'), socket=_socket, missing=lambda p: None)

def put(files, folder):
    "Write the files of a case: bytes, or what an odd path has."
    for name,content in files.items():
        path = folder/name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes): path.write_bytes(content)
        else: ODD_PATHS[content](path)

def is_sentence(text, names):
    "One printable line that names a file."
    return bool(text.strip()) and text.isprintable() and len(text)<=LONGEST and any(n in text for n in names)

def judge(reader, folder, some):
    "What a reader makes of a folder: 'refused', 'read' or 'wrong', and why."
    names = reader.names or tuple(Path(name).name for name in some)
    said = []
    try: found = reader.read(folder, said)
    except (ValueError, OSError) as e:
        text = str(e)
        if is_sentence(text, names): return 'refused', text
        return 'wrong', f'no sentence that names the file: {type(e).__name__} {text[:300]!r}'
    except MemoryError: return 'wrong', f'out of memory: {where()}'
    except Exception as e: return 'wrong', f'{type(e).__name__}: {str(e)[:200]!r} {where()}'
    unclear = [s for s in said if not is_sentence(s, names)]
    if unclear: return 'wrong', f'left out without a sentence that names the file: {unclear[0][:300]!r}'
    try: reader.check(found)
    except Exception as e: return 'wrong', f'accepted: {type(e).__name__} {str(e)[:200]!r} {where()}'
    return ('refused','; '.join(said)) if said else ('read','')

def where():
    "The innermost line of the library in the traceback of the present exception."
    frames = traceback.extract_tb(sys.exc_info()[2])
    ours = [f for f in frames if 'text2pose/' in f.filename] or frames
    return f'in {Path(ours[-1].filename).name}:{ours[-1].name}' if ours else ''

# ---- a worker

def memory():
    "Resident bytes now, and their peak since `forget_peak`."
    said = Path('/proc/self/status').read_text()
    return tuple(int(re.search(rf'{key}:\s*(\d+)', said)[1])*1024 for key in ('VmRSS','VmHWM'))

def forget_peak():
    try: Path('/proc/self/clear_refs').write_text('5')
    except OSError: pass

def limit_memory():
    "No more than MEMORY beyond what the process has mapped."
    mapped = int(Path('/proc/self/statm').read_text().split()[0])*os.sysconf('SC_PAGE_SIZE')
    resource.setrlimit(resource.RLIMIT_AS, (mapped+MEMORY,)*2)

def work(reader, seeds, folder, report):
    "Judge cases one after another; write a line about each."
    warnings.simplefilter('ignore')
    faulthandler.disable()  # pytest's would print whole stacks
    for signum in (signal.SIGPROF,signal.SIGALRM): signal.signal(signum, signal.SIG_DFL)
    limit_memory()
    with open(report, 'a') as out:
        for seed in seeds:
            files,some = spoilt(reader, seed)
            put(files, folder)
            del files
            forget_peak()
            before,began = memory()[0],time.process_time()
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            signal.setitimer(signal.ITIMER_REAL, WALL)
            verdict,why = judge(reader, folder, some)
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            grown = max(0, memory()[1]-before)
            seconds = round(time.process_time()-began, 3)
            row = dict(seed=seed, verdict=verdict, why=why[:600], seconds=seconds, memory=grown)
            out.write(json.dumps(row)+'\n')
            out.flush()
            clear(folder)

def warm(reader):
    "Read the valid examples, which must be read well: imports and caches are no matter of a case."
    for files in reader.make():
        with tempfile.TemporaryDirectory() as tmp:
            put(files, Path(tmp)/'case')
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                verdict,why = judge(reader, Path(tmp)/'case', list(reader.kinds))
        assert verdict=='read', f'{reader.name}: a valid example is {verdict}: {why}'

def clear(folder):
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink(): shutil.rmtree(path)
        else: path.unlink()

def forked(function, *args):
    "Start a function in a child; its process id."
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child: return child
    try:
        function(*args)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)

DIED = {signal.SIGPROF:f'more than {SECONDS} s of processor time', signal.SIGALRM:f'hangs: more than {WALL} s'}

def run(reader, seeds):
    "Judge the cases of a reader in workers that follow each other; a row for each."
    seeds = list(seeds)
    warm(reader)
    with tempfile.TemporaryDirectory() as tmp:
        folder,report = Path(tmp)/'case', Path(tmp)/'report'
        rows = []
        while len(rows)<len(seeds):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            status = os.waitpid(forked(work, reader, seeds[len(rows):], folder, report), 0)[1]
            rows = [json.loads(line) for line in report.read_text().splitlines()] if report.exists() else []
            if status==0: break
            if not os.WIFSIGNALED(status): raise RuntimeError(f'{reader.name}: the worker failed')
            signum = os.WTERMSIG(status)
            why = DIED.get(signum, f'killed by {signal.Signals(signum).name}')
            row = dict(seed=seeds[len(rows)], verdict='wrong', why=why, seconds=float(SECONDS), memory=0)
            with open(report, 'a') as out: out.write(json.dumps(row)+'\n')
            rows.append(row)
    return rows

# ---- the table

def summary(rows):
    "Counts, and the cases that took most time and memory."
    counts = {v:sum(r['verdict']==v for r in rows) for v in ('refused','read','wrong')}
    def worst(key, rows): return max(rows, key=lambda r: r[key], default=dict(seed=None, seconds=0, memory=0))
    slow,large = worst('seconds', rows),worst('memory', rows)
    refused = worst('memory', [r for r in rows if r['verdict']=='refused'])
    return dict(cases=len(rows), **counts, slowest_s=slow['seconds'], slowest_seed=slow['seed'],
                memory_mb=round(large['memory']/1e6, 1), memory_seed=large['seed'],
                refused_memory_mb=round(refused['memory']/1e6, 1))

def table(found):
    "The counts as text."
    lines = [f'{"reader":56} {"cases":>6} {"refused":>8} {"read":>6} {"wrong":>6} {"slowest":>8} {"memory":>9}']
    for name,s in found.items():
        lines.append(f'{name:56} {s["cases"]:6} {s["refused"]:8} {s["read"]:6} {s["wrong"]:6} {s["slowest_s"]:6.2f} s '
                     f'{s["memory_mb"]:6.1f} MB')
    total = {k:sum(s[k] for s in found.values()) for k in ('cases','refused','read','wrong')}
    lines.append(f'{"all":56} {total["cases"]:6} {total["refused"]:8} {total["read"]:6} {total["wrong"]:6}')
    return '\n'.join(lines)

def prepared():
    "The readers, with everything imported that they need."
    import torch
    torch.set_num_threads(1)
    for path in (HERE, HERE.parent, HERE.parents[1], HERE.parents[1]/'tools'):
        if str(path) not in sys.path: sys.path.insert(0, str(path))
    from readers import READERS
    return READERS

def shares(readers, cases):
    "How many cases each reader gets."
    total = sum(r.weight for r in readers.values())
    return {name:-(-int(cases*r.weight)//int(total)) for name,r in readers.items()}

def tell_wrong(reader, rows, keep=None):
    "Say what went wrong, and keep the files."
    for r in rows:
        if r['verdict']!='wrong': continue
        print(f'wrong: {reader.name}, seed {r["seed"]}: {r["why"]}', flush=True)
        if keep: put(spoilt(reader, r['seed'])[0], Path(keep)/re.sub(r'\W+', '_', reader.name)/str(r['seed']))

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--cases', type=int, default=10_500)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--reader', default='')
    parser.add_argument('--out', help='where the table goes as JSON')
    parser.add_argument('--keep', help='a folder for the files of cases that go wrong')
    parser.add_argument('--workers', type=int, default=2)
    args = parser.parse_args()
    readers = {name:r for name,r in prepared().items() if args.reader in name}
    n = shares(readers, args.cases)
    began,load = time.time(),os.getloadavg()[0]
    for r in readers.values(): warm(r)  # once, before the workers are forked
    with tempfile.TemporaryDirectory() as tmp:
        def share(k):
            for i,(name,r) in enumerate(readers.items()):
                if i%args.workers==k:
                    rows = run(r, range(args.seed, args.seed+n[name]))
                    (Path(tmp)/f'{i}.json').write_text(json.dumps(rows))
                    tell_wrong(r, rows, args.keep)
        children = [forked(share, k) for k in range(args.workers)]
        failed = [os.waitpid(child, 0)[1] for child in children]
        rows = {name:json.loads((Path(tmp)/f'{i}.json').read_text()) for i,name in enumerate(readers)
                if (Path(tmp)/f'{i}.json').exists()}
    found = {name:summary(r) for name,r in rows.items()}
    print(table(found))
    wrong = sum(s['wrong'] for s in found.values())
    minutes = round((time.time()-began)/60, 1)
    print(f'{minutes} minutes, load at the beginning {load:.1f}')
    if args.out:
        about = dict(command=f'python tests/faults/campaign.py --cases {args.cases} --seed {args.seed}',
                     limits=dict(seconds=SECONDS, memory_bytes=MEMORY), minutes=minutes, load=round(load, 1))
        Path(args.out).write_text(json.dumps(dict(about=about, readers=found), indent=1)+'\n')
    sys.exit(bool(wrong or any(failed)))

if __name__=='__main__': main()
