# make demo   sets everything up, converts poses and unifies datasets; pictures go to out/demo
#             (INPUT=file for your own, FROM=format where the file does not say it)
# make test   sets everything up and runs the tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint bench clean

$(VENV)/demo.done: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[plot,data]"
	touch $@

# torch first and alone, so that an installed or chosen build is kept by what depends on it
$(VENV)/test.done: pyproject.toml $(VENV)/demo.done
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[fit,body,plot,data,smpl,sample,cluster,virtual,train,test]"
	touch $@

# Others may be named, such as TORCH="torch==2.13.0 torchvision==0.28.0".
TORCH ?= torch torchvision

demo: $(VENV)/demo.done
	$(BIN)/python -m skelbridge.demo $(if $(INPUT),--input "$(INPUT)") $(if $(FROM),--from "$(FROM)")

test: $(VENV)/test.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto --dist loadfile

bench: $(VENV)/test.done
	$(BIN)/python -m benchmarks.convert
	$(BIN)/python -m benchmarks.fidelity
	$(BIN)/python -m benchmarks.acae
	$(BIN)/python -m benchmarks.store
	$(BIN)/python -m benchmarks.damage
	$(BIN)/python -m benchmarks.train

clean:
	rm -rf $(VENV) out build dist *.egg-info
