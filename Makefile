# make demo: prompts in, poses out (figures/demo); make test: everything is checked. Both set up .venv first.
PYTHON ?= python3
STAMP := .venv/.installed
THREADS := $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$(( n > 1 ? n / 2 : 1 )))

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export MPLBACKEND := Agg
export HF_HUB_OFFLINE := 1

.PHONY: help install demo test export readme clean

help:
	@echo "make demo       generate the five demo prompts into figures/demo"
	@echo "make test       check the tree, run the notebooks (with their data cells where TEXT2POSE_DATA is set) and the tests"
	@echo "make export     write text2pose/*.py from the notebooks, and clean the notebooks"
	@echo "make readme     write README.md from nbs/index.ipynb"
	@echo "make install    set up .venv (demo and test do so by themselves)"
	@echo "make clean      remove what was built; .venv stays"

install: $(STAMP)

$(STAMP): settings.ini setup.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("text2pose needs Python 3.10 or later: make PYTHON=python3.11" if sys.version_info<(3,10) else 0)'
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install -e '.[dev,minilm]' -c constraints.txt
	touch $(STAMP)

demo: install
	env -u TEXT2POSE_DATA text2pose generate "arms raised" "crouching" "golf swing" "a person walks forward" \
	  "kick with the left leg" -n 4 --seed 0 --out figures/demo --format png,json

test: install
	python tools/check_tree.py
	OMP_NUM_THREADS=$(THREADS) nbdev_test --n_workers 2 $(if $(TEXT2POSE_DATA),--flags data)
	python -m pytest

export: install
	nbdev_export
	nbdev_clean

readme: install
	python tools/make_readme.py

clean:
	rm -rf build dist _proc _docs *.egg-info .pytest_cache .hypothesis
