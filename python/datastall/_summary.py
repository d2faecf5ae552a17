# SPDX-License-Identifier: Apache-2.0
"""What :func:`datastall.summary` returns, as types. ``datastall help json`` says what
each key means.

Unknown is None. Keys may be added in any version; none is removed while ``schema`` is 1.
"""

from __future__ import annotations

from typing import Any, TypedDict


class Run(TypedDict):
    id: str
    path: str
    name: str | None
    command: str | None
    started_at: str | None
    duration_s: float
    setup_s: float | None
    state: str
    launcher: str | None
    launcher_text: str | None
    recorded_in: str | None
    exit_status: int | None


class Window(TypedDict):
    start_ns: int | None
    end_ns: int | None
    duration_s: float | None


class Verdict(TypedDict):
    severity: str
    input_stall_share: float | None
    worst_share: float | None
    worst_share_lower: float | None
    event_coverage: float | None
    worst_rank: int | None
    worst_pid: int | None
    method: str | None
    upper_bound: bool
    speedup_ceiling: float | None
    speedup_ceiling_is_bound: bool
    text: str | None
    prize: str | None


class Distribution(TypedDict):
    """Milliseconds; ``count`` waits."""

    count: int
    mean: float | None
    min: float | None
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None
    sum: float | None


class Failed(TypedDict):
    count: int
    sum: float | None


class QueueState(TypedDict):
    full: int
    normal: int
    starved: int
    unknown: int


class ExposedStall(TypedDict):
    sum: float | None
    lower: float | None
    upper: float | None
    event_coverage: float | None


class SlowWait(TypedDict):
    wait_ms: float
    begin_ns: int
    batch_index: int | None
    stage: str | None
    samples: int | None
    tokens: int | None


class Replay(TypedDict):
    batches: int
    waited_s: float
    replayed_s: float
    replayed_larger_s: float
    larger_factor: int


class Setting(TypedDict):
    loop_ms_per_batch: float | None
    make_ms_per_batch: float | None
    cpus_per_worker: float | None
    most_workers: float | None
    workers: int | None
    gain: float | None
    in_loop_s: float | None


class Failure(TypedDict):
    kind: str | None
    worker: int | None
    pid: int | None
    item: int | None
    status: int | None
    since_s: float | None


class Host(TypedDict):
    cpus_usable: float | None
    cpus_limited_by: str | None
    loop_cpus: float | None
    idle_cpus: float | None
    others_cpus: float | None
    children_cpus: float | None
    threads_per_cpu: float | None
    throttled_s: float | None
    cpu_pressure: float | None
    io_pressure: float | None
    shm_size_bytes: float | None
    shm_used_bytes: float | None


class Why(TypedDict):
    primary: str
    shares: dict[str, float | None]
    head_of_line: float | None
    window: float | None
    stall_s: float
    stall_share: float | None
    for_others_s: float | None
    evidence: list[str]
    suggestion: str | None
    others_idle: float | None
    replay: Replay
    sampler_s: float
    sampler_first_s: float
    pin_s: float
    unpickle_cpu_ms_per_batch: float | None
    active_s: float
    first_waits_s: float
    setting: Setting
    failure: Failure
    host: Host


class Depth(TypedDict):
    waits: int
    ready_mean: float | None
    early_mean: float | None
    in_flight_mean: float | None
    possible_mean: float | None
    empty_share: float | None


class SlowItem(TypedDict):
    ms: float
    index: int | None
    begin_ns: int


class Worker(TypedDict):
    worker: int | None
    pid: int
    generations: int
    batches: int
    failed: int
    items: int
    busy_share: float | None
    idle_s: float
    handover_cpu_s: float
    gap_s: float
    running_s: float
    cpu_wait_s: float
    items_s: float
    items_running_s: float
    items_in_threads_s: float
    items_cpu_wait_s: float
    items_blocked_s: float
    collate_s: float
    pickle_s: float
    pickle_running_s: float
    sent_batches: int
    sent_bytes: int
    sent_tensors: int
    tensor_bytes: int | None
    streams_ended: int
    asked_which: int
    looks: int
    looks_in_lock: int
    startup_s: float
    item_ms_mean: float | None
    asked_bytes: int | None
    storage_bytes: int | None
    major_faults: int | None
    slowest_items: list[SlowItem]


class Range(TypedDict):
    mean: float | None
    lower: float | None
    upper: float | None


class PredictedSetting(TypedDict):
    num_workers: int
    prefetch_factor: int | None
    persistent_workers: bool
    if_split: bool
    samples_per_s: Range
    window_s: Range
    stall_share: Range


class Without(TypedDict):
    what: str
    samples_per_s: Range
    window_s: Range


class Predicted(TypedDict):
    says: str | None
    left_out: str | None
    replay_error: float | None
    measured: PredictedSetting | None
    settings: list[PredictedSetting]
    best: int | None
    without: list[Without]


class _LoaderSettings(TypedDict, total=False):
    """Of torch's loaders only."""

    pin_memory: bool
    persistent_workers: bool


class Loader(_LoaderSettings):
    name: str | None
    source: str
    in_verdict: bool
    rank: int | None
    pid: int
    site: str | None
    dataset_type: str | None
    num_workers: int | None
    prefetch_factor: int | None
    batch_size: int | None
    threads: int
    iterators: int
    batches: int
    samples: int | None
    tokens: int | None
    tokens_method: str | None
    wait_ms: Distribution
    startup_ms: Distribution
    failed_ms: Failed
    queue_state: QueueState
    packing_efficiency: float | None
    longest_sequence: int | None
    samples_per_s: float | None
    tokens_per_s: float | None
    recent_samples_per_s: float | None
    recent_tokens_per_s: float | None
    window_start_ns: int
    window_end_ns: int
    waiting_s: float
    waiting_share: float | None
    exposed_stall_s: ExposedStall
    hidden_wait_s: float | None
    unknown_wait_s: float
    carried_wait_s: float
    unfinished_wait_s: float | None
    records_ahead: int
    slowest_waits: list[SlowWait]
    why: Why
    depth: Depth
    workers: list[Worker]
    unknown_worker_batches: int | None
    predicted: Predicted | None


class Gpm(TypedDict):
    sm_share: float | None
    sm_occupancy_share: float | None
    tensor_share: float | None
    dram_bandwidth_share: float | None
    pcie_tx_bytes_per_s: float | None
    pcie_rx_bytes_per_s: float | None
    nvlink_tx_bytes_per_s: float | None
    nvlink_rx_bytes_per_s: float | None


class Bounds(TypedDict):
    lower: float | None
    upper: float | None


class HeldClocks(TypedDict):
    power: float | None
    thermal: float | None
    hardware: float | None


class Idle(TypedDict):
    what: str
    where: str | None
    s: float
    share: float


class Gpu(TypedDict):
    index: int
    uuid: str | None
    name: str | None
    gpu_instance: int | None
    compute_instance: int | None
    state: str
    error: int | None
    busy_share: float | None
    busy_source: str | None
    busy_samples: int
    input_stall_share: float | None
    input_stall_share_lower: float | None
    upper_bound: bool
    processes: int
    other_idle_share: float | None
    busy_s: float
    idle_s: float
    unknown_s: float
    exposed_stall_s: ExposedStall
    hidden_wait_s: float | None
    unknown_wait_s: float
    gpm: Gpm
    samples: int
    mem_used_peak_bytes: int | None
    mem_total_bytes: int | None
    power_w_mean: float | None
    power_w_max: float | None
    temperature_c_max: float | None
    sm_clock_mhz_mean: float | None
    energy_j: float | None
    energy_while_stalled_j: Bounds
    clocks_held_share: HeldClocks
    idle: list[Idle]


class GpuSampling(TypedDict):
    state: str
    error: int | None
    ended: str | None


class Stage(TypedDict):
    name: str | None
    rank: int | None
    pid: int
    duration_s: float
    entries: int
    batches: int
    samples: int | None
    tokens: int | None
    waiting_s: float
    waiting_share: float | None
    exposed_stall_s: ExposedStall
    hidden_wait_s: float | None
    unknown_wait_s: float


class Process(TypedDict):
    rank: int | None
    local_rank: int | None
    world_size: int | None
    pid: int
    hostname: str | None
    command: str | None
    state: str
    window_s: float | None
    paused_s: float | None
    life_s: float | None
    input_stall_s: float | None
    input_stall_lower_s: float | None
    input_stall_share: float | None
    method: str | None
    upper_bound: bool
    for_others_share: float
    waiting_threads: int
    lost_records: int
    merged_other: int
    impossible_times: int
    impossible_counts: int
    unknown_arguments: int
    hooks_refused: dict[str, int]
    file: str | None


class Damage(TypedDict):
    files: int
    unreadable_files: int
    problems: int
    first_problem: str | None


class CostOfCause(TypedDict):
    cause: str
    share: float
    gpu_hours: Bounds
    money: Bounds
    energy_j: Bounds


class Cost(TypedDict):
    gpus: int
    gpu_hours: float | None
    stalled_gpu_hours: Bounds
    price_per_gpu_hour: float | None
    money: float | None
    stalled_money: Bounds
    energy_j: float | None
    stalled_energy_j: Bounds
    causes: list[CostOfCause]
    text: str | None


class Phase(TypedDict):
    name: str
    count: int
    host_s: float
    share: float | None
    longest_s: float
    gpu_s: float | None
    starved_s: float | None
    starved_error_s: float | None
    blocked_s: float | None


class BlockingCall(TypedDict):
    what: str
    where: str | None
    phase: str
    count: int | None
    seen: int
    s: float
    starved_s: float | None


class WorkingLine(TypedDict):
    where: str
    phase: str
    seen: int
    s: float
    starved_s: float | None


class Copies(TypedDict):
    bytes: int | None
    s: float | None
    pinned_share: float | None
    hidden_s: float | None


class AllocatorMemory(TypedDict):
    allocated_peak_bytes: int | None
    reserved_peak_bytes: int | None
    allocation_retries: int | None
    creep_bytes: int | None


#: ``datastall help steps``. By another syntax, since "try" is a word of Python.
Steps = TypedDict(
    "Steps",
    {
        "rank": "int | None",
        "pid": int,
        "count": int,
        "counted_by": "str | None",
        "graph_replays": int,
        "window_s": float,
        "method": "str | None",
        "says": "str | None",
        "phases": "list[Phase]",
        "blocking_calls": "list[BlockingCall]",
        "working_lines": "list[WorkingLine]",
        "copies": Copies,
        "memory": AllocatorMemory,
        "text": "str | None",
        "try": "list[str]",
    },
)


class JobCause(TypedDict):
    rank: int
    node: str
    reason: str
    lost_s: float
    steps_last: int
    why: str | None


class Job(TypedDict):
    """``datastall help jobs``"""

    id: str | None
    ranks: int
    world_size: int | None
    nodes: int
    restarts: int
    steps: int
    steps_seen: int
    batches_per_step: int | None
    active_s: float | None
    lost_s: Range
    lost_share: Range
    not_input_s: float | None
    mean_stall_s: float | None
    clock_doubt_s: float | None
    busiest_gpu_rank: int | None
    gpu_text: str | None
    in_turns: bool
    causes: list[JobCause]
    text: str | None
    says: str | None
    note: str | None


class Summary(TypedDict):
    schema: int
    datastall_version: str
    run: Run
    window: Window
    verdict: Verdict
    job: Job | None
    steps: Steps | None
    cost: Cost
    loaders: list[Loader]
    gpus: list[Gpu]
    gpu_sampling: GpuSampling
    stages: list[Stage]
    processes: list[Process]
    damage: Damage


def nothing() -> Any:
    """Before the first wait: an empty dictionary, which has none of the keys yet."""
    return {}
