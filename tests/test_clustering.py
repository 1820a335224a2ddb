"Clusters, samples, maps and outliers: faults, damage on disk, determinism, and what must hold for any input."
import json, subprocess, sys

import numpy as np, pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from text2pose.clustering import (
    ClusterMap, PoseClusters, SAMPLING_PRESETS, balanced_limit, balanced_quotas, balanced_sample, cluster_curve,
    cluster_examples, cluster_shares, coverage, effective_clusters, fill_clusters, fit_clusters, fit_outliers,
    map_clusters, medoids, same_body, sample_poses, source_weights, typical_words, unique_poses)
from text2pose.data import bone_lengths, own_poses, own_rows, pose_table

OWN = np.stack([p['joints'] for p in own_poses()])
CLUSTERS = fit_clusters(OWN, 5)
quick = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
counts = st.lists(st.integers(0, 60), min_size=1, max_size=9).filter(sum)

def noisy(n, seed=0):
    g = np.random.default_rng(seed)
    x = OWN[g.integers(0, len(OWN), n)]
    x[:,1:] += g.normal(0, .02, x[:,1:].shape).astype(np.float32)
    return x

@quick
@given(counts, st.data())
def test_quotas(c, data):
    n = data.draw(st.integers(1, sum(c)))
    q = balanced_quotas(c, n)
    assert q.sum()==n and (q<=c).all() and (q>=0).all()
    # a cluster below the largest quota has given all it has, or is one behind
    assert q.max()-min((int(b) for b,k in zip(q,c) if b<k), default=q.max())<=1

@quick
@given(counts, st.floats(.05, 1))
def test_limit(c, share):
    n = balanced_limit(c, share)
    assert 0<=n<=sum(c)
    if n: assert balanced_quotas(c, n).max()<=share*n+1e-6
    if n<sum(c): assert balanced_quotas(c, n+1).max()>share*(n+1)-1e-6

@quick
@given(st.lists(st.integers(0, 5), min_size=1, max_size=80), st.integers(0, 9), st.data())
def test_samples(labels, seed, data):
    labels = np.array(labels)
    a,b = sorted(data.draw(st.tuples(*[st.integers(1, len(labels))]*2)))
    rows = np.arange(len(labels))
    extra = data.draw(st.sampled_from([{}, dict(weights=rows+1.), dict(finer=rows%3)]))
    small,large = (balanced_sample(labels, n, seed, **extra) for n in (a,b))
    assert len(set(large.tolist()))==b and (np.diff(large)>0).all() and set(small)<=set(large)
    assert (np.bincount(labels[large], minlength=labels.max()+1)==balanced_quotas(np.bincount(labels), b)).all()

@quick
@given(st.lists(st.sampled_from('abcdef'), min_size=1, max_size=200), st.floats(0, 1), st.floats(.01, 1))
def test_source_weights(sources, temper, cap):
    w = source_weights(sources, temper, cap)
    sources = np.array(sources)
    names = np.unique(sources)
    share = {s:w[sources==s].sum()/w.sum() for s in names}
    assert np.isfinite(w).all() and (w>0).all() and abs(w.mean()-1)<1e-6
    assert max(share.values())<=max(cap, 1/len(names))+1e-6
    by = sorted(names, key=lambda s: (sources==s).sum())  # a larger source never gets less in total
    assert all(share[x]<=share[y]+1e-6 for x,y in zip(by, by[1:]))

@quick
@given(st.lists(st.floats(0, 1), min_size=1, max_size=9).filter(lambda s: sum(s)>.01))
def test_effective_clusters(s):
    s = np.array(s)/sum(s)
    assert 1-1e-6<=effective_clusters(s)<=len(s)+1e-6

def test_same_body_many_chunks(monkeypatch):
    import text2pose.clustering as c
    x = noisy(100)
    whole = same_body(x), CLUSTERS.distances(x), fit_outliers(OWN).scores(x)
    monkeypatch.setattr(c, '_CHUNK', 7)
    for a,b in zip(whole, (same_body(x), CLUSTERS.distances(x), fit_outliers(OWN).scores(x))):
        assert np.allclose(a, b, atol=1e-5)
    assert np.allclose(bone_lengths(same_body(x*1.3)), bone_lengths(OWN[0]), atol=1e-4)

def test_weights_and_minibatch():
    x = noisy(3000)
    w = np.random.default_rng(1).uniform(0, 1, len(x))
    for kw in (dict(minibatch=True), dict(weights=w), dict(weights=w, minibatch=True)):
        a,b = (fit_clusters(x, 4, **kw) for _ in range(2))
        assert (a.centroids==b.centroids).all()
    labels = fit_clusters(x, 4, weights=w).assign(x)
    assert (np.diff(np.bincount(labels, w))<=1e-3*w.sum()).all()
    some = np.zeros(len(x))
    some[:50] = 1
    c = fit_clusters(x, 1, weights=some)
    assert np.allclose(c.centroids[0], same_body(x[:50]).mean(0), atol=1e-4)
    bad_weights = {'3 weights':np.ones(3), 'not all 0':np.zeros(len(x)), 'NaN':np.full(len(x), np.nan), '0 or more':-w}
    for message,bad in bad_weights.items():
        with pytest.raises(ValueError, match=message): fit_clusters(x, 4, weights=bad)
        with pytest.raises(ValueError, match=message): balanced_sample(labels, 10, weights=bad)

def test_minibatch_by_size(monkeypatch):
    import text2pose.clustering as c
    x = noisy(500)
    minibatch = []
    kmeans = c._kmeans
    def spy(*args):
        minibatch.append(args[-1])
        return kmeans(*args)
    monkeypatch.setattr(c, '_kmeans', spy)
    monkeypatch.setattr(c, 'MINIBATCH_FROM', 400)
    fit_clusters(x, 3)
    fit_clusters(x[:300], 3)
    fit_clusters(x, 3, minibatch=False)
    assert minibatch==[True,False,False]

SAMPLE_AND_HASH = """
import hashlib
from text2pose.clustering import sample_poses
from text2pose.data import own_rows, pose_table
sample = sample_poses(pose_table(own_rows()), 40)
print(hashlib.sha256(str(sample.to_pylist()).encode()).hexdigest())
"""

def test_same_in_another_process():
    command = [sys.executable, '-c', SAMPLE_AND_HASH]
    hashes = {subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(2)}
    assert len(hashes)==1

def test_poses_not_rows():
    table = pose_table(own_rows())
    first,pose_idx = unique_poses(table)
    assert len(first)==len(OWN)<table.num_rows and (np.diff(first)>0).all()
    assert table['pose_id'].take(first[pose_idx]).equals(table['pose_id'])
    rows = own_rows()
    again = [{**r, 'caption':r['caption']+' again'} for r in rows if r['pose_id']=='own:standing']
    doubled = pose_table(rows+again*200)
    drawn = [set(sample_poses(t, 30)['pose_id'].to_pylist()) for t in (table, doubled)]
    assert drawn[0]==drawn[1] and len(drawn[0])==30  # two hundred more captions for one pose change nothing
    s = sample_poses(doubled, len(OWN))
    assert s.num_rows==doubled.num_rows
    shuffled = table.take(np.random.default_rng(0).permutation(table.num_rows))
    assert len(unique_poses(shuffled)[0])==len(OWN)

def test_presets():
    sizes = [p['n_poses'] for p in SAMPLING_PRESETS.values()]
    assert sizes==sorted(sizes) and sizes[0]==1300 and sizes[-1]==18000
    table = pose_table(own_rows())
    for name in SAMPLING_PRESETS:
        with pytest.raises(ValueError, match=f'{name}.*the table has 81'): sample_poses(table, name)
    for bad in (0, -1, 2.5, True, None):
        with pytest.raises(ValueError, match='size must be a whole number'): sample_poses(table, bad)
    with pytest.raises(ValueError, match='needs 5 poses, the table has 0'): sample_poses(table.slice(0, 0), 5)
    assert sample_poses(table, 3).num_rows>=3 and sample_poses(table.slice(0, 1), 1).num_rows==1

def test_identical_poses():
    rows = own_rows()[:1]
    table = pose_table([{**rows[0], 'pose_id':f'p{i}'} for i in range(40)])
    with pytest.raises(ValueError, match='only 1 of the 40 poses are distinct'): sample_poses(table, 10)
    assert sample_poses(table, 10, CLUSTERS).num_rows==10
    still = np.repeat(OWN[:1], 30, 0)
    c = fit_clusters(still, 1)
    assert [len(e) for e in cluster_examples(still, np.zeros(30, int), c, 3)]==[1]

@pytest.fixture
def saved(tmp_path):
    m = map_clusters(pose_table(own_rows()), CLUSTERS)
    m.save(tmp_path/'map.json')
    return m, tmp_path/'map.json'

def test_map_round_trip(saved, tmp_path):
    m,path = saved
    back = ClusterMap.load(path)
    assert (back.clusters.centroids==m.clusters.centroids).all() and back.pose_ids==m.pose_ids
    assert all(back.cluster_of(p)==k for k,ids in enumerate(m.pose_ids) for p in ids)
    back.save(tmp_path/'again.json')
    assert (tmp_path/'again.json').read_bytes()==path.read_bytes()
    table = fill_clusters(pose_table(own_rows()), CLUSTERS)
    assert sorted(r for k in range(5) for r in back.rows(table, k))==list(range(table.num_rows))
    with pytest.raises(ValueError, match='cluster must be a whole number'): back.rows(table, 5)

@pytest.mark.parametrize('change,message', [
    (lambda d: d.update(format='other'), 'no map of clusters'),
    (lambda d: d.update(version=2), 'no map of clusters'),
    (lambda d: d.pop('centroids'), 'centroids must be'),
    (lambda d: d.update(centroids='x'), 'centroids must be'),
    (lambda d: d['centroids'][0].pop(), 'centroids must be'),
    (lambda d: d.update(centroids=[1,2]), r'shape \(n, 66\)'),
    (lambda d: d['centroids'][0].__setitem__(0, float('nan')), '1 NaN'),
    (lambda d: d['centroids'][0].__setitem__(0, 10**400), 'a number of 401 digits'),
    (lambda d: d['centroids'].pop(), '4 clusters, 5 lists'),
    (lambda d: d.pop('pose_ids'), 'one list for each'),
    (lambda d: d.update(pose_ids={'a':1}), 'one list for each'),
    (lambda d: d['pose_ids'].__setitem__(0, 'abc'), 'one list for each'),
    (lambda d: d['pose_ids'][0].append(7), 'must be strings'),
    (lambda d: d['pose_ids'][0].append([]), 'must be strings'),
    (lambda d: d['pose_ids'][0].append(d['pose_ids'][1][0]), 'listed twice')])
def test_map_damage(saved, change, message):
    d = json.loads(saved[1].read_text())
    change(d)
    saved[1].write_text(json.dumps(d))
    with pytest.raises(ValueError, match=message) as e: ClusterMap.load(saved[1])
    assert 'map.json' in str(e.value) and '\n' not in str(e.value)

def test_map_truncated(saved):
    whole = saved[1].read_bytes()
    for n in range(0, len(whole), len(whole)//40):
        saved[1].write_bytes(whole[:n])
        with pytest.raises(ValueError, match='map.json'): ClusterMap.load(saved[1])
    with pytest.raises(FileNotFoundError, match='missing.json'): ClusterMap.load(saved[1].with_name('missing.json'))

def test_map_writes_nothing_by_halves(saved, monkeypatch):
    m,path = saved
    before = path.read_bytes()
    m.pose_ids[0].append(object())
    with pytest.raises(TypeError): m.save(path)
    assert path.read_bytes()==before and [p.name for p in path.parent.iterdir()]==['map.json']

def test_outliers():
    o = fit_outliers(OWN)
    g = np.random.default_rng(0)
    assert o.find(OWN[:0]).shape==(0,) and o.find(OWN*.9).mean()<.05
    far = noisy(200)
    far[np.arange(200),g.integers(1,22,200)] += 2
    for x in (far, OWN*100, OWN*.01, OWN*0, OWN+g.normal(0, .2, OWN.shape).astype(np.float32)):
        assert o.find(x).mean()>.99
    assert np.isfinite(o.scores(OWN*0)).all() and np.isfinite(o.scores(OWN*np.float32(1e9))).all()
    assert (o.find(OWN)==o.find(OWN+5)).all()  # where a body stands does not matter
    same = fit_outliers(np.repeat(OWN[:1], 30, 0))
    assert not same.find(OWN[:1]).any() and same.find(OWN[:1]*10).all()

def test_coverage_and_words():
    assert coverage(OWN, OWN[:1], 10.).all() and not coverage(OWN[1:2], OWN[:1], 1e-6).any()
    assert coverage(OWN[:0], OWN).shape==(0,)
    with pytest.raises(ValueError, match='sample is empty'): coverage(OWN, OWN[:0])
    assert typical_words(['', ''], [0,0], n_clusters=2)==[[],[]]
    assert typical_words(['Waves, waves!', 'sits'], [0,1], n_clusters=2)==[['waves'],['sits']]

@pytest.mark.parametrize('call', [
    lambda: balanced_limit([]),
    lambda: balanced_limit([3], 0),
    lambda: cluster_curve(OWN, [1]),
    lambda: cluster_shares([]),
    lambda: source_weights([]),
    lambda: source_weights(['a'], float('nan')),
    lambda: balanced_sample([0,1], 3),
    lambda: balanced_sample([0,1], True),
    lambda: medoids(OWN, [0], CLUSTERS),
    lambda: PoseClusters(np.full((1,22,3), np.nan)),
    lambda: fit_clusters(OWN[:0]),
    lambda: fit_clusters(OWN, True),
    lambda: fit_outliers(OWN*np.nan),
    lambda: same_body(OWN.tolist()),
    lambda: cluster_examples(OWN, CLUSTERS.assign(OWN), CLUSTERS, 0)])
def test_bad_arguments(call):
    with pytest.raises(ValueError) as e: call()
    assert str(e.value) and '\n' not in str(e.value)
