"""Write text2pose/assets/library.safetensors: the atlas as a library that loads without reading YAML.

    python tools/make_library.py  # after every change of the atlas
"""
from pathlib import Path

from text2pose.atlas import atlas
from text2pose.core import asset
from text2pose.library import PoseLibrary, read_library, save_library

PATH = Path(__file__).parents[1]/'text2pose/assets/library.safetensors'

def library_of_atlas(
)->PoseLibrary: # what the file should hold
    "Every pose of the YAML files of the package, twins included."
    made = read_library(asset('atlas'))
    made = made[[made.names.index(name) for name in atlas()]]  # a twin beside its pose: packs better
    made.sources = ['atlas']*len(made)
    return made

def main(path=PATH):
    made = library_of_atlas()
    save_library(made, path)
    print(f'{path.name}: {len(made)} poses, {sum(map(len, made.phrases))} phrases, {path.stat().st_size/2**20:.2f} MB')

if __name__=='__main__': main()
