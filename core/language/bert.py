# SPDX-License-Identifier: GPL-3.0-or-later
"""BERT without the transformers library: the embedded text encoder starts with Blender's panel, and importing transformers takes longer
than everything else in the engine together (4 s of processor time; this module 0.03 s).

Its plain twin is `core.language.encoder.HubModel`.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor


class Bert:
    """Token numbers of texts, and the last hidden states of their tokens.

    Args:
        folder: holds config.json, tokenizer.json and model.safetensors of a BertModel with absolute positions and GELU.
        device: where it runs.
    """

    def __init__(self, folder: Path, device: torch.device):
        config = json.loads((folder / "config.json").read_text())
        self.width: int = config["hidden_size"]
        self.heads, self.layers, self.epsilon = config["num_attention_heads"], config["num_hidden_layers"], config["layer_norm_eps"]
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.longest: int = config["max_position_embeddings"]
        self.weights = {name: tensor.to(device) for name, tensor in load_file(folder / "model.safetensors").items()}

    def tokenize(self, texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]

    def __call__(self, ids: Tensor) -> Tensor:
        """ids: [B, L ≤ longest], none of them padding -> [B, L, width]"""
        table = {kind: self.weights[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")}
        x = table["word"][ids] + table["token_type"][0] + table["position"][: ids.shape[1]]
        x = self._norm(x, "embeddings.LayerNorm")
        for layer in range(self.layers):
            name = f"encoder.layer.{layer}"
            q, k, v = (
                self._linear(x, f"{name}.attention.self.{part}").unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, H, L, D]
                for part in ("query", "key", "value")
            )
            read = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
            x = self._norm(x + self._linear(read, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm")
            wide = F.gelu(self._linear(x, f"{name}.intermediate.dense"))
            x = self._norm(x + self._linear(wide, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        return x

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (self.width,), self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], self.epsilon)
