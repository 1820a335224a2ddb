"Spoilt files for every reader: refused in a sentence or read well, in little time and memory. The table: campaign.py."
import pytest

import campaign

READERS = campaign.prepared()
FEW = 12  # cases of each reader in the quick half

@pytest.mark.parametrize('name', READERS)
def test_spoilt_files(name):
    "Cases behind those of the table."
    rows = campaign.run(READERS[name], range(10**6, 10**6+FEW))
    wrong = [f'seed {r["seed"]}: {r["why"]}' for r in rows if r['verdict']=='wrong']
    assert len(rows)==FEW and not wrong, '\n'.join(wrong)

class Bad:
    "A reader that does what none may do."
    name,kinds,names,weight,paths = 'bad',{'f':'bytes'},(),1,False
    def make(self): return [{'f':b'0123456789'}]
    def read(self, folder, said): return self.how(folder/'f')
    def check(self, found): assert found!='broken', 'broken'
    def __init__(self, how): self.how = how

def _spin(path):
    while path.read_bytes()!=b'0123456789': pass

def _grow(path):
    if path.read_bytes()!=b'0123456789': bytearray(3*2**30)

def _crash(path):
    import ctypes
    if path.read_bytes()!=b'0123456789': ctypes.string_at(0)

def _raise(error):
    def read(path):
        if path.read_bytes()!=b'0123456789': raise error
    return read

@pytest.mark.parametrize('how,says', [
    (_spin, 'processor time'), (_grow, 'out of memory'), (_crash, 'killed by SIGSEGV'),
    (_raise(KeyError('x')), 'KeyError'), (_raise(ValueError('two\nlines of f')), 'no sentence'),
    (_raise(ValueError('nothing is named')), 'no sentence'), (lambda path: 'broken', None)])
def test_what_is_wrong_is_found(monkeypatch, how, says):
    "The harness itself: time, memory, crashes, tracebacks, sentences and contracts."
    monkeypatch.setattr(campaign, 'SECONDS', 1)
    if says is None:
        with pytest.raises(AssertionError, match='a valid example is wrong'): campaign.run(Bad(how), range(2))
        return
    rows = campaign.run(Bad(how), campaign.spoiling(Bad(how), 2))
    assert [r['verdict'] for r in rows]==['wrong','wrong'] and all(says in r['why'] for r in rows), rows

def test_refusals_are_counted():
    bad = Bad(_raise(ValueError('f is damaged')))
    rows = campaign.run(bad, campaign.spoiling(bad, 3))
    assert [r['verdict'] for r in rows]==['refused']*3
    assert campaign.summary(rows)['refused']==3 and '3' in campaign.table(dict(bad=campaign.summary(rows)))

def test_enough_cases():
    "The table has 10,000 cases at least, and every reader has some."
    n = campaign.shares(READERS, 10_500)
    assert sum(n.values())>=10_000 and min(n.values())>=100
