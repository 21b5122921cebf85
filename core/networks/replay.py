# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of a click on CUDA: their several hundred kernels, recorded once and started as one (a CUDA graph).

The plain twin is `Generator.made` itself, which every other device calls. In single precision: on an H200 bfloat16 was slower, and less
like the processor's objects (docs/benchmarks/README.md).
"""

import sys
from collections.abc import Callable

import torch
from torch import Tensor

from core.networks.generator import Fields, Generator

Made = Callable[..., Fields]  # as Generator.made
Inputs = tuple[Tensor | None, ...]  # of Generator.made


def fastest(generator: Generator) -> Made:
    """`generator.made` (see there), as its device runs it best."""
    return Replay(generator) if generator.dummy.device.type == "cuda" else generator.made


class Replay:
    """`Generator.made` of one object, with the dummy sphere or with a cloud of as many points: recorded at its first call, then replayed.

    What has another shape, and what cannot be recorded, is called as it is. Weights may change in place; a generator that moves to another
    device needs another Replay.
    """

    def __init__(self, generator: Generator, record: Callable[[Made, Inputs], Made] | None = None):
        """record: makes a replay of a call and its inputs; None: `record_graph`."""
        self.generator, self.record = generator, record or record_graph
        self.replays: dict[tuple[bool, ...], Made] = {}  # by which inputs there are: with a cloud or without

    @torch.inference_mode()
    def __call__(self, condition: Tensor, queries: Tensor, cloud: Tensor | None = None, adherence: Tensor | None = None) -> Fields:
        inputs = condition, queries, cloud, adherence
        if len(condition) != 1 or (cloud is not None and cloud.shape[:2] != (1, self.generator.config.points)):
            return self.generator.made(*inputs)
        there = tuple(given is not None for given in inputs)
        if there not in self.replays:
            self.replays[there] = self._recorded(inputs)
        return self.replays[there](*inputs)

    def _recorded(self, inputs: Inputs) -> Made:
        try:
            return self.record(self.generator.made, inputs)
        except RuntimeError as error:  # a kernel that cannot be recorded, or no memory for it
            print(f"The networks run without a CUDA graph: {str(error).splitlines()[0]}", file=sys.stderr)
            return self.generator.made


def record_graph(function: Made, inputs: Inputs) -> Made:
    """A CUDA graph of function(*inputs), as a function of inputs of the same shapes. Raises RuntimeError where it cannot be recorded."""
    device = inputs[0].device
    with torch.cuda.device(device):
        held, graph, stream = [given if given is None else given.clone() for given in inputs], torch.cuda.CUDAGraph(), torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # around all of it: a recording that fails does not go back to the stream before
            function(*held)  # what the libraries choose and allocate at a first call is not to be recorded
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                fields = function(*held)
        torch.cuda.current_stream().wait_stream(stream)

    def replay(*inputs: Tensor | None) -> Fields:
        for mine, given in zip(held, inputs, strict=True):
            if mine is not None:
                mine.copy_(given)
        graph.replay()
        return Fields(*(tensor.clone() for tensor in vars(fields).values()))  # the next replay writes over the graph's own

    return replay
