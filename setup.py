"All of the package's metadata comes from settings.ini, which nbdev reads too."
from configparser import ConfigParser
from pathlib import Path

from setuptools import setup

root = Path(__file__).parent
config = ConfigParser(delimiters=['='])
config.read(root/'settings.ini', encoding='utf-8')
cfg = config['DEFAULT']

pythons = ['3.10', '3.11', '3.12', '3.13']
statuses = '1 - Planning,2 - Pre-Alpha,3 - Alpha,4 - Beta,5 - Production/Stable,6 - Mature,7 - Inactive'.split(',')
readme = root/'README.md'

setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    long_description=readme.read_text(encoding='utf-8') if readme.exists() else cfg['description'],
    long_description_content_type='text/markdown',
    author=cfg['author'],
    url=cfg['git_url'],
    keywords=cfg['keywords'].split(),
    license_expression={'apache2': 'Apache-2.0'}[cfg['license']],
    license_files=['LICENSE', 'NOTICE'],
    python_requires=f">={cfg['min_python']}",
    classifiers=[
        f"Development Status :: {statuses[int(cfg['status'])-1]}",
        f"Intended Audience :: {cfg['audience']}",
        f"Natural Language :: {cfg['language']}",
        *(f'Programming Language :: Python :: {v}' for v in pythons),
    ],
    packages=[cfg['lib_path']],
    package_data={cfg['lib_path']: ['assets/**/*']},
    install_requires=cfg['requirements'].split(),
    extras_require={name: cfg[f'{name}_requirements'].split() for name in ('dev', 'minilm', 'clip', 'fast', 'explore')},
    entry_points={'console_scripts': cfg['console_scripts'].split()},
    zip_safe=False,
)
