# SPDX-License-Identifier: Apache-2.0
"""What datastall says, in the tools that a training is followed with.

Each is a module of its own, which imports its library and no other:

- :mod:`datastall.integrations.lightning`: a callback for PyTorch Lightning
- :mod:`datastall.integrations.transformers`: a callback for the Trainer of transformers
- :mod:`datastall.integrations.tensorboard`, :mod:`~datastall.integrations.wandb`,
  :mod:`~datastall.integrations.mlflow`: loggers for loops of your own, and for these callbacks

Importing this package imports none of them. What is logged: ``datastall/samples_per_s``,
``datastall/batches_per_s``, ``datastall/stall_share`` (0..1, of the worst process),
``datastall/severity`` (0 none, 1 slight, 2 moderate, 3 severe) and, where a tool takes text,
severity and cause in words; at the end the card of ``datastall show``. A figure that is not known
is not logged. An error in here is said once and never raised into the training.
``datastall help integrations`` has examples.
"""
