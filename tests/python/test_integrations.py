# SPDX-License-Identifier: Apache-2.0
"""datastall.integrations with the real libraries; what is not installed is skipped. Nothing is
sent: W&B is offline, MLflow and TensorBoard write files here."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from support import PYTHON, Ended, command, write

LOOP = """
import json, os, pathlib, sys, time, torch, datastall
os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", MLFLOW_DISABLE_TELEMETRY="true",
                  DO_NOT_TRACK="true", HF_HUB_OFFLINE="1", CUDA_VISIBLE_DEVICES="")
from torch.utils.data import DataLoader, Dataset
class Rows(Dataset):
    def __len__(self): return 48
    def __getitem__(self, index):
        time.sleep(0.01)
        return {"x": torch.ones(4), "labels": torch.ones(1)}
"""
BY_HAND = """
datastall.install()
def train(logger):
    for step, batch in enumerate(DataLoader(Rows(), batch_size=4), 1):
        if step % 4 == 0: logger.log(step)
    logger.finish()
"""
NAMES = {f"datastall/{n}" for n in ("samples_per_s", "batches_per_s", "stall_share", "severity")}


def needs(*names: str) -> None:
    for name in names:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"needs {name}")


def run(folder: Path, source: str) -> Ended:
    write(folder, "prog.py", source)
    ended = command([PYTHON, "prog.py"], folder)
    assert ended.code == 0, ended.err
    assert not ended.said, ended.said
    return ended


def check(steps: dict[str, dict[int, float]], at: list[int]) -> None:
    """Every figure at every step; the loop does little but wait, so it is severe."""
    assert set(steps) == NAMES
    for name, values in steps.items():
        assert sorted(values) == at, name
    assert set(steps["datastall/severity"].values()) == {3.0}
    assert all(0.5 < share <= 1 for share in steps["datastall/stall_share"].values())
    assert all(0 < rate < 100 for rate in steps["datastall/samples_per_s"].values())


def test_nothing_is_imported_that_is_not_used(tmp_path: Path) -> None:
    libraries = ("lightning", "pytorch_lightning", "transformers", "tensorboard", "wandb", "mlflow")
    ended = run(
        tmp_path,
        f"""
import sys, datastall, datastall.integrations
from datastall.integrations import mlflow, tensorboard, wandb
tensorboard.TensorBoardLogger(None), wandb.WandbLogger(), mlflow.MLflowLogger()
print([name for name in {libraries!r} if name in sys.modules])
""",
    )
    assert ended.out == "[]\n"


def test_an_error_is_said_once_and_never_raised(tmp_path: Path) -> None:
    write(
        tmp_path,
        "prog.py",
        f"""{LOOP}{BY_HAND}
from datastall.integrations.tensorboard import TensorBoardLogger
class Broken:
    def add_scalar(self, *a): raise RuntimeError("disk full")
    def add_text(self, *a): raise RuntimeError("disk full")
train(TensorBoardLogger(Broken()))
print("done")
""",
    )
    ended = command([PYTHON, "prog.py"], tmp_path)
    assert (ended.code, ended.out) == (0, "done\n")
    assert len([line for line in ended.said if "disk full" in line]) == 1


def test_tensorboard(tmp_path: Path) -> None:
    needs("tensorboard")
    run(
        tmp_path,
        f"""{LOOP}{BY_HAND}
from torch.utils.tensorboard import SummaryWriter
from datastall.integrations.tensorboard import TensorBoardLogger
with SummaryWriter("logs") as writer: train(TensorBoardLogger(writer))
""",
    )
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "logs"))
    events.Reload()
    tags = events.Tags()
    check(
        {name: {e.step: e.value for e in events.Scalars(name)} for name in tags["scalars"]},
        [4, 8, 12],
    )
    (card,) = events.Tensors("datastall/card/text_summary")
    assert b"VERDICT" in card.tensor_proto.string_val[0]


def test_wandb(tmp_path: Path) -> None:
    needs("wandb")
    ended = run(
        tmp_path,
        f"""{LOOP}{BY_HAND}
import wandb
from datastall.integrations.wandb import WandbLogger
logged = []
with wandb.init(project="x", dir=".", mode="offline") as run:
    log, run.log = run.log, None
    def spy(values, **more): logged.append(values); log(values, **more)
    object.__setattr__(run, "log", spy)
    train(WandbLogger())
    print(json.dumps([logged, dict(run.summary)]))
""",
    )
    logged, summary = ended.printed()
    steps: dict[str, dict[int, float]] = {}
    for values in logged:
        step = values.pop("datastall/step")
        for name, value in values.items():
            steps.setdefault(name, {})[step] = value
    check(steps, [4, 8, 12])
    assert summary["datastall/severity_text"] == "severe"
    assert summary["datastall/cause"] == "blocked" and "VERDICT" in summary["datastall/card"]
    assert list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))


def test_mlflow(tmp_path: Path) -> None:
    needs("mlflow")
    ended = run(
        tmp_path,
        f"""{LOOP}{BY_HAND}
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
import mlflow
from datastall.integrations.mlflow import MLflowLogger
mlflow.set_tracking_uri(pathlib.Path("mlruns").absolute().as_uri())
with mlflow.start_run() as run: train(MLflowLogger())
client = mlflow.MlflowClient()
metrics = {{
    name: [[m.step, m.value] for m in client.get_metric_history(run.info.run_id, name)]
    for name in client.get_run(run.info.run_id).data.metrics
}}
print(json.dumps([metrics, client.get_run(run.info.run_id).data.tags]))
""",
    )
    metrics, tags = ended.printed()
    check({name: dict(values) for name, values in metrics.items()}, [4, 8, 12])
    assert (tags["datastall.severity"], tags["datastall.cause"]) == ("severe", "blocked")
    (card,) = tmp_path.glob("mlruns/**/datastall.txt")
    assert "VERDICT" in card.read_text()


def test_lightning(tmp_path: Path) -> None:
    needs("pytorch_lightning")
    ended = run(
        tmp_path,
        f"""{LOOP}
import warnings; warnings.filterwarnings("ignore")
import pytorch_lightning as pl
from pytorch_lightning.loggers import CSVLogger
from datastall.integrations.lightning import DatastallCallback
class Model(pl.LightningModule):
    def __init__(self): super().__init__(); self.layer = torch.nn.Linear(4, 1)
    def training_step(self, batch, index):
        return (self.layer(batch["x"]) - batch["labels"]).pow(2).mean()
    def configure_optimizers(self): return torch.optim.SGD(self.parameters(), 0.1)
told = []
class Own:
    def log(self, step): told.append(step)
    def finish(self): told.append("end")
trainer = pl.Trainer(max_epochs=1, accelerator="cpu", logger=CSVLogger("."), log_every_n_steps=1,
                     enable_progress_bar=False, enable_checkpointing=False,
                     enable_model_summary=False,
                     callbacks=[DatastallCallback(every_n_steps=4, loggers=[Own()])])
trainer.fit(Model(), DataLoader(Rows(), batch_size=4))
print(json.dumps(told))
""",
    )
    assert ended.printed() == [4, 8, 12, "end"]
    assert "VERDICT" in ended.out
    import csv

    (file,) = tmp_path.glob("lightning_logs/*/metrics.csv")
    steps: dict[str, dict[int, float]] = {name: {} for name in NAMES}
    for row in csv.DictReader(file.open()):
        for name in NAMES:
            if row.get(name):
                steps[name][int(row["step"])] = float(row[name])
    check(steps, [4, 8, 12])


def test_transformers(tmp_path: Path) -> None:
    needs("transformers", "accelerate")
    ended = run(
        tmp_path,
        f"""{LOOP}
from transformers import PretrainedConfig, PreTrainedModel, Trainer, TrainingArguments
from datastall.integrations.transformers import DatastallCallback
class Model(PreTrainedModel):
    config_class = PretrainedConfig
    def __init__(self, config):
        super().__init__(config); self.layer = torch.nn.Linear(4, 1); self.post_init()
    def forward(self, x, labels): return {{"loss": (self.layer(x) - labels).pow(2).mean()}}
told = []
class Own:
    def log(self, step): told.append(step)
    def finish(self): told.append("end")
arguments = TrainingArguments(output_dir="out", num_train_epochs=1, logging_steps=4, report_to=[],
                              per_device_train_batch_size=4, use_cpu=True, save_strategy="no",
                              disable_tqdm=True, remove_unused_columns=False)
trainer = Trainer(Model(PretrainedConfig()), arguments, train_dataset=Rows(),
                  callbacks=[DatastallCallback(every_n_steps=4, loggers=[Own()])])
trainer.train()
print(json.dumps([told, trainer.state.log_history]))
""",
    )
    told, history = ended.printed()
    assert told == [4, 8, 12, "end"]
    assert "VERDICT" in ended.out
    steps: dict[str, dict[int, float]] = {name: {} for name in NAMES}
    for entry in history:
        for name in NAMES & set(entry):
            if "loss" in entry:
                steps[name][entry["step"]] = entry[name]
    check(steps, [4, 8, 12])


def test_how_often_is_checked(tmp_path: Path) -> None:
    ended = run(
        tmp_path,
        """
from datastall.integrations._figures import every
import json
wrong = []
for steps in (0, -1, 1.5, "x"):
    try: every(steps)
    except ValueError as error: wrong.append(str(error))
print(json.dumps(wrong))
""",
    )
    refused: Any = json.loads(ended.out)
    assert len(refused) == 4 and all("from 1 on" in text for text in refused)
