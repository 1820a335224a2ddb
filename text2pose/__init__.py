__version__ = "0.1.0"

__all__ = ['Text2PosePipeline']

def __getattr__(name):
    "The pipeline, imported at first use: `import text2pose` itself stays instant."
    if name=='Text2PosePipeline':
        from text2pose.cfg import Text2PosePipeline
        return Text2PosePipeline
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')

def __dir__(): return sorted({*globals(), *__all__})
