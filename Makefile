# Every job is one call of tools/bootstrap.py, which sets up .venv by itself and needs only Python 3.11 to 3.13.
# Another Python: make report PYTHON=python3.12. Arguments for the job: make test ARGS="-k nps".
PYTHON ?= python3
ARGS ?=

.PHONY: help report test check lab serve bench simulate

help:
	@$(PYTHON) tools/bootstrap.py help

report test check lab serve bench simulate:
	@$(PYTHON) tools/bootstrap.py $@ $(ARGS)
