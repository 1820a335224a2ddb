"""Store a folder of weights with their matrices in 8 bits, as the package ships them.

    python tools/pack_weights.py WEIGHTS OUT
"""
import shutil, sys
from pathlib import Path
import torch
from text2pose.student import save_student, teacher_name
from text2pose.cfg import Text2PosePipeline, save_model

def pack_weights(
    source, # folder of weights
    folder, # where to write; made if absent
):
    "Write denoiser, scorer and student anew, and copy the notes."
    source,folder = Path(source), Path(folder)
    pipe = Text2PosePipeline.from_pretrained(source)
    save_model(pipe.model, folder, torch.int8)
    if pipe.scorer is not None: pipe.scorer.save(folder/'scorer.safetensors', torch.int8)
    for name in ('training.json','student.json','README.md'):
        if (source/name).is_file(): shutil.copy(source/name, folder/name)
    if pipe.student is None: return
    packed = Text2PosePipeline.from_pretrained(folder)  # whose name the student has to bear
    save_student(pipe.student, folder/'student.safetensors', teacher_name(packed.model, packed.scorer), torch.int8)

if __name__=='__main__': pack_weights(*sys.argv[1:3])
