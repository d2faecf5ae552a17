# SPDX-License-Identifier: Apache-2.0
from typing import Any

def summary(folder: str) -> dict[str, Any]: ...
