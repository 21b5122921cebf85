# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of gpu.sh, each in a process of its own, so that one that fails or takes too long leaves the others.

tests: tests/gpu, twins and determinism · click: the stages from a prompt to a mesh · networks: these and a whole click with and without
CUDA graphs, and how often a click waits for the GPU · batch: objects a second · starter, paper: a training step of these
networks · multiview, depth: MVDream (867 M) and Stable Diffusion with a depth ControlNet, full size, random weights, against what was
planned.
"""

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS = {
    "machine": 20,
    "tests": 110,
    "click": 50,
    "networks": 40,
    "batch": 30,
    "starter": 30,
    "paper": 50,
    "multiview": 65,
    "depth": 65,
}  # at most, each; 460 together, of which few take all
UNET = {
    "_class_name": "UNet2DConditionModel", "block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2, "cross_attention_dim": 1024,
    "attention_head_dim": [5, 10, 20, 20], "use_linear_projection": True, "in_channels": 4, "out_channels": 4,
}  # fmt: skip
VAE = {
    "_class_name": "AutoencoderKL", "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 4,
    "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4, "scaling_factor": 0.18215,
}  # fmt: skip
SMALL = {"block_out_channels": [32, 32, 64, 64], "attention_head_dim": [2, 2, 4, 4], "layers_per_block": 1, "cross_attention_dim": 64}
PROMPTS = ["a red mushroom with white spots", "a wooden barrel", "a blue car", "a wooden chair"]
CAMERA = {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 16}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="gpu.sh", description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny sizes, few rounds")
    parser.add_argument("--only", help="parts, separated by commas (all of them)")
    parser.add_argument("--out", type=Path, help="a file for the last line")
    parser.add_argument("--part", choices=tuple(SECONDS), help=argparse.SUPPRESS)  # what a process of a part is started with
    a = parser.parse_args(argv)
    if a.part:
        print(json.dumps(PARTS[a.part](a)))
        return 0
    parts = a.only.split(",") if a.only else list(SECONDS)[1:]
    if unknown := set(parts) - set(SECONDS):
        parser.error(f"unknown part {unknown.pop()!r}; there are {', '.join(SECONDS)}")
    begun, results = time.monotonic(), {}
    for part in ["machine", *parts]:
        results[part] = run_part(part, a)
        print(json.dumps({part: results[part]}), file=sys.stderr, flush=True)
    results["seconds"] = round(time.monotonic() - begun, 1)
    print(json.dumps(results), flush=True)
    if a.out:
        a.out.write_text(json.dumps(results, indent=2) + "\n")
    return int(any("failed" in result for result in results.values() if isinstance(result, dict)))


def run_part(part: str, a: argparse.Namespace) -> dict:
    """What a part printed as its last line, or {"skipped": …} or {"failed": …} with the reason."""
    command = [sys.executable, __file__, "--part", part, "--device", a.device, *["--small"] * a.small]
    limit = SECONDS[part] * (5 if a.small else 1)  # where it is tried out, nobody waits for it
    begun = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        out, log = process.communicate(timeout=limit)
    except BaseException as stop:  # with all that it has started itself
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if not isinstance(stop, subprocess.TimeoutExpired):
            raise
        return {"failed": f"it took more than {limit} seconds"}
    last = (log.strip().splitlines() or [f"exit status {process.returncode}"])[-1]
    if process.returncode:
        return {"skipped" if last.startswith(("ModuleNotFoundError", "ImportError")) else "failed": last[:300]}
    return json.loads(out.strip().splitlines()[-1]) | {"part_s": round(time.monotonic() - begun, 1)}


# The parts ----------------------------------------------------------------------------------------------------------------------


def machine(a: argparse.Namespace) -> dict:
    import torch

    from core.device import machine_name

    return {"is": machine_name(), "torch": torch.__version__, "cuda": torch.version.cuda}


def tests(a: argparse.Namespace) -> dict:
    """Twins and determinism: how many of tests/gpu passed."""
    import pytest  # noqa: F401   a ModuleNotFoundError leaves the part out

    command = [sys.executable, "-m", "pytest", "tests/gpu", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"LATTE3D_TEST_DEVICE": a.device}, capture_output=True, text=True)
    words = done.stdout.strip().splitlines()
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", words[-1] if words else "")}
    failures = [line[:200] for line in words if line.startswith(("FAILED", "ERROR"))]
    return {"counts": counts} | ({"failed": failures or words[-3:]} if done.returncode else {})


def click(a: argparse.Namespace) -> dict:
    """The stages of a click at Standard, milliseconds, as `python -m core benchmark` measures them."""
    command = [sys.executable, "-m", "core", "benchmark", "--no-blender", "--json", "--device", a.device]
    command += ["--detail", "draft", "--rounds", "1"] if a.small else ["--detail", "standard", "--rounds", "5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit((done.stderr.strip().splitlines() or ["the benchmark failed"])[-1])
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return {"stages_ms": found["stages_ms"], "sum_ms": round(sum(found["stages_ms"].values()), 1), "triangles": found["triangles"]}


def networks(a: argparse.Namespace) -> dict:
    """The networks and a whole click, as they are called and as a CUDA graph: medians, milliseconds."""
    from core.networks.replay import Replay

    pipeline, detail, result = load_pipeline(a), "draft" if a.small else "standard", {}
    usual, rounds = pipeline.made, 2 if a.small else 15
    ways = {"called": pipeline.generator.made} | ({"graph": Replay(pipeline.generator)} if pipeline.device.type == "cuda" else {})
    for way, made in ways.items():
        pipeline.made = made
        meshes = [pipeline([PROMPTS[0]], seeds=number, detail=detail)[0] for number in range(rounds + 1)][1:]
        times = [mesh.timings_ms for mesh in meshes]
        medians = {"networks_ms": [t["networks"] for t in times], "click_ms": [sum(t.values()) for t in times]}
        result[way] = {what: round(statistics.median(found), 2) for what, found in medians.items()}
    pipeline.made = usual
    return result | {"waits": count_waits(lambda: pipeline([PROMPTS[0]], detail=detail))}


def count_waits(work: Callable[[], object]) -> int:
    """How often work makes the CPU wait for the GPU, as PyTorch tells; 0 without one."""
    import torch

    if not torch.cuda.is_available():
        return 0
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            work()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("synchronizing" in str(warning.message) for warning in told)


def batch(a: argparse.Namespace) -> dict:
    """Objects a second of one engine that is asked for many."""
    pipeline, result = load_pipeline(a), {}
    for detail in ("draft",) if a.small else ("draft", "standard"):
        prompts = PROMPTS * (1 if a.small else 8)
        pipeline(prompts[:1], detail=detail)
        begun = time.perf_counter()
        pipeline(prompts, seeds=range(len(prompts)), detail=detail)
        result[f"{detail}_objects_s"] = round(len(prompts) / (time.perf_counter() - begun), 2)
    return result


def load_pipeline(a: argparse.Namespace):
    """The starter model, warm."""
    from core.pipeline import Latte3DPipeline

    pipeline = Latte3DPipeline.from_pretrained(ROOT / "core" / "weights" / "starter", a.device)
    pipeline.warm_up()
    return pipeline


def starter(a: argparse.Namespace) -> dict:
    return training_step("tiny" if a.small else "starter", a, batch=2 if a.small else 8)


def paper(a: argparse.Namespace) -> dict:
    return training_step("tiny" if a.small else "paper-scale", a, batch=2 if a.small else 4)


def training_step(preset: str, a: argparse.Namespace, batch: int) -> dict:
    """One step of both networks on random prompts, clouds and points: forward, backward, AdamW; float32 and bfloat16."""
    import torch

    from core.networks.generator import Generator
    from core.networks.presets import PRESETS

    config, device, points = PRESETS[preset], torch.device(a.device), 2048
    result = {"preset": preset, "batch": batch, "points": points}
    for name, dtype in (("float32", None), ("bfloat16", torch.bfloat16)):
        torch.manual_seed(0)
        generator = Generator(config).to(device)
        result["parameters"] = sum(p.numel() for p in generator.parameters())
        optimizer = torch.optim.AdamW(generator.parameters(), 1e-4, fused=True)
        tokens, z = torch.randn(batch, 16, config.text_width, device=device), torch.randn(batch, config.style_size, device=device)
        cloud = torch.randn(batch, config.points, 6, device=device).clamp(-0.48, 0.48)
        where = torch.rand(batch, points, 3, device=device) - 0.5
        mask = torch.ones(batch, 16, dtype=torch.bool, device=device)

        def step(g=generator, o=optimizer, half=dtype, inputs=(tokens, mask, z, cloud), at=where) -> None:
            with torch.autocast(device.type, half or torch.bfloat16, enabled=half is not None):
                fields = g(*inputs)
                distances, looks = (g.sdf(fields.geometry, fields.condition, at), g.texture(fields.texture, fields.condition, at))
            (distances.float().square().mean() + looks.float().square().mean()).backward()
            o.step()
            o.zero_grad()

        result[name] = timed(step, device, 2 if a.small else 10)
    return result


def multiview(a: argparse.Namespace) -> dict:
    from core.guidance.multiview import MultiviewGuidance

    return prior(MultiviewGuidance, UNET | CAMERA | {"sample_size": 32}, a, views=4, image=256)


def depth(a: argparse.Namespace) -> dict:
    from core.guidance.depth import DepthGuidance

    return prior(DepthGuidance, UNET | {"sample_size": 64}, a, views=1, image=512)


def prior(kind: type, unet: dict, a: argparse.Namespace, views: int, image: int) -> dict:
    """A denoising step and a distillation step of a prior of random weights, and what `guidance plan` said of the latter."""
    import torch

    from core.guidance.cli import check_prior
    from core.guidance.convert import SCHEDULER, write_json
    from core.guidance.estimate import Prior, measured_speed, prior_cost

    device, dtype = torch.device(a.device), torch.bfloat16 if a.device.startswith("cuda") else torch.float32
    unet = unet | ({**SMALL, "sample_size": 8} if a.small else {})
    vae = VAE | ({"block_out_channels": [32] * 4, "layers_per_block": 1} if a.small else {})
    control = {k: v for k, v in unet.items() if k not in ("sample_size", "out_channels", *CAMERA)} | {"_class_name": "ControlNetModel"}
    result = {"dtype": str(dtype).removeprefix("torch.")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = {"unet": unet, "vae": vae} | ({"controlnet": control} if views == 1 else {})
        for part, config in parts.items():
            write_json(config, folder / part / "config.json")
        write_json(SCHEDULER, folder / "scheduler" / "scheduler_config.json")
        guidance = kind.load(folder, "meta", dtype)
        fill(guidance, device)
        result["tflop_s"] = round(measured_speed(device, dtype) / 1e12, 2)
        for objects in (1,) if a.small else (1, 4):
            cost = prior_cost(Prior(kind, folder, views, 64 if a.small else image), dtype, objects)
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            found = check_prior(guidance, folder, objects)
            result["parameters"] = found["parameters"]
            result[f"objects_{objects}"] = {k: found[k] for k in ("denoise_ms", "distil_ms", "memory_mb")} | {
                "planned_mb": round(cost.memory / 2**20), "planned_tflop": round(cost.operations / 1e12, 3),
                "tflop_s": round(cost.operations / found["distil_ms"] / 1e9, 2),
            }  # fmt: skip
    return result


def fill(guidance, device) -> None:
    """Give a guidance that has shapes alone random weights on a device."""
    import torch

    for module in guidance.modules().values():
        module.to_empty(device=device)
        for name, parameter in module.named_parameters():
            if name.endswith("bias") or parameter.ndim < 2:
                parameter.fill_(float(not name.endswith("bias")))
            else:
                parameter.normal_(0, parameter[0].numel() ** -0.5)
    guidance.device, guidance.signal = torch.device(device), load_signal().to(device)


def load_signal():
    from core.guidance.sds import signal_shares

    return signal_shares()


def timed(step, device, rounds: int) -> dict:
    """Milliseconds of a step (the least of `rounds`), and the most memory that it had on a GPU."""
    import torch

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    times = []
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        step()
        wait()
        times.append(1000 * (time.perf_counter() - begun))
    memory = {"memory_mb": round(torch.cuda.max_memory_allocated(device) / 2**20)} if device.type == "cuda" else {}
    return {"step_ms": round(min(times[1:]), 1)} | memory


PARTS = {part.__name__: part for part in (machine, tests, click, networks, batch, starter, paper, multiview, depth)}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
