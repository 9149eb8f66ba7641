# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The ROS distribution: kilted, in .venv, or jazzy, in .venv-jazzy
ROS := $(or $(LVS_ROS),kilted)
export LVS_ROS := $(ROS)

.PHONY: help setup demo test gpu-check lint docs links clean

help:  ## say what there is
	@sed -n 's/^\([a-z-]*\):[a-z ./-]*## \(.*\)/  make \1\t\2/p' Makefile
	@echo '  make ... ROS=jazzy	the same with ROS 2 Jazzy in place of Kilted, in .venv-jazzy'

setup:  ## make the environment in .venv (ROS 2, PyTorch, the compiled messages)
	@scripts/setup.sh

demo: setup  ## a synthetic street camera, the node, and what came out of it in demo_output/
	@. ./env.sh && lvs demo

test: setup  ## run the tests, two files at a time: most of them wait for processes or messages
	@. ./env.sh && python -m pytest -n 2 --dist loadfile $(ARGS)

gpu-check: setup  ## on a computer with a GPU: test it, and measure what it must reach
	@. ./env.sh && python scripts/gpu_check.py $(ARGS)

lint: setup  ## flake8, mypy, and the figures in the documents
	@. ./env.sh && python -m flake8 lvs_ros launch test setup.py scripts docs/conf.py scripts/lvs scripts/lvs_node && python -m mypy && python scripts/result_tables.py --check

docs: .venv-docs/.packages  ## build the documents into .build/docs, as docs.ros.org shows them
	@.venv-docs/bin/sphinx-build -q -E -a -W --keep-going -c docs . .build/docs
	@echo 'docs: .build/docs/docs/index.html'

links: .venv-docs/.packages  ## try the links of the documents that lead out of them; needs the network
	@.venv-docs/bin/sphinx-build -q -b linkcheck -c docs . .build/links

.venv-docs/.packages: requirements-docs.txt
	@mkdir -p .venv-docs && touch .venv-docs/COLCON_IGNORE
	@$(or $(PYTHON),python3) -m venv .venv-docs
	@.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

clean:  ## remove the environment, the build and what the demo wrote
	rm -rf .venv .venv-jazzy .venv-docs .build .build-jazzy demo_output .mypy_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
