'''Every notebook passes "Run All" in Jupyter with no data set, hub or GPU. Jupyter knows no nbdev flags, so all cells run.'''
import nbformat, pytest
from nbclient import NotebookClient

from tree import ROOT, copy_tree, offline_env

@pytest.mark.parametrize('name', sorted(p.name for p in (ROOT/'nbs').glob('*.ipynb')))
def test_run_all(name, tmp_path):
    nbs = copy_tree(tmp_path/'tree')/'nbs' # the last cell exports: into the copy
    nb = nbformat.read(nbs/name, as_version=4)
    client = NotebookClient(nb, timeout=900, kernel_name='python3', resources={'metadata': {'path': str(nbs)}})
    env = offline_env()
    env.pop('MPLBACKEND', None) # Jupyter's own: inline
    client.execute(env=env)
