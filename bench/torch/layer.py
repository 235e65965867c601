"""The UltraMem V1 layer in PyTorch, op by op as a person writes it, timed on a GPU: the peer of layer-cuda.ts, which runs it.

    python3 layer.py case.safetensors '{"knn": 32, …, "tokens": [1, 16], "rounds": 5, "seconds": 0.2}'

The file holds the layer's weights, inputs x f32[n,D] and, for comparing, y f32[n,D]. Prints one JSON value: milliseconds per
round and kind of a call from x in host memory to y in host memory, and how far y lies from the file's.
"""

import json
import statistics
import sys
import time

import torch
from safetensors.torch import load_file

EPS = 1e-5


def rms_norm(x, weight, dim):
    """x normed over `dim`, in f32."""
    wide = x.float()
    shape = [1] * x.dim()
    shape[dim] = -1
    return (wide * torch.rsqrt(wide.square().mean(dim, keepdim=True) + EPS) * weight.float().view(shape)).to(x.dtype)


class Layer(torch.nn.Module):
    def __init__(self, tensors, sizes, dtype):
        super().__init__()
        self.sizes = sizes
        for name, value in tensors.items():
            integer = not value.is_floating_point()
            kept = value.long() if integer else value.to(dtype)
            self.register_buffer(name.replace(".", "_"), kept.cuda())
        # What depends on weights alone is computed once, as for ONNX Runtime.
        self.keys = rms_norm(self.keys, self.keys_norm_weight, 3)  # [H,2,n',Dk,r]
        cores = [getattr(self, f"tucker_core_{c}") for c in range(sizes["cores"])]
        self.register_buffer("stacked", torch.stack(cores, 1))  # [H,h,r,r]

    def side(self, query, keys, factors):
        """Which keys are best, [T,H,m], and their scores by rank, [T,H,m,r]."""
        scores = torch.einsum("td,hndr->thnr", query, keys)
        merged = torch.einsum("thnr,hr->thn", scores, factors[0, :, 0])
        index = merged.topk(self.sizes["knn"], -1).indices
        ranks = index.unsqueeze(-1).expand(-1, -1, -1, scores.shape[-1])
        return index, scores.gather(2, ranks)

    def forward(self, x):
        s = self.sizes
        tokens, m, h, heads, expansion = x.shape[0], s["knn"], s["cores"], s["heads"], s["expansion"]
        rows = s["knum"] ** 2
        query = (x @ self.query_proj_weight.t()).view(tokens, 2, -1)
        query = rms_norm(query, self.query_norm_weight, 2)
        row, row_scores = self.side(query[:, 0], self.keys[:, 0], self.tucker_core_u)
        col, col_scores = self.side(query[:, 1], self.keys[:, 1], self.tucker_core_v)
        grids = torch.einsum("thir,hcrs,thjs->thcij", row_scores, self.stacked, col_scores).flatten(3)
        place = grids.sum(2).topk(m, -1).indices  # [T,H,m]
        scores = grids.gather(3, place.unsqueeze(2).expand(-1, -1, h, -1))  # [T,H,h,m]
        address = row.gather(2, place // m) * self.keys.shape[2] + col.gather(2, place % m)
        slot = self.shuffle_index[address.flatten(1)]  # [T,R]
        values = self.values_for_look_up[slot % rows].view(tokens, heads * m, h, -1)
        weighted = (values * scores.transpose(2, 3).reshape(tokens, heads * m, h, 1)).flatten(2)
        pooled = torch.zeros(tokens, expansion, weighted.shape[-1], dtype=x.dtype, device=x.device)
        pooled.scatter_add_(1, (slot // rows).unsqueeze(-1).expand_as(weighted), weighted)
        return pooled.flatten(1) @ self.values_proj_weight.t()


def timed(call, seconds):
    """Milliseconds of calls for so many seconds, three at least."""
    times, end, i = [], time.perf_counter() + seconds, 0
    while i < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call(i)
        times.append(1000 * (time.perf_counter() - start))
        i += 1
    return times


@torch.inference_mode()
def main():
    torch.backends.cuda.matmul.allow_tf32 = False
    path, options = sys.argv[1], json.loads(sys.argv[2])
    tensors = load_file(path)
    x, y = tensors.pop("x"), tensors.pop("y")
    results = []
    for precision, dtype in (("f32", torch.float32), ("bf16", torch.bfloat16)):
        layer = Layer(tensors, options, dtype)
        kinds = {"eager": layer, "compiled": torch.compile(layer, dynamic=False)}
        for tokens in options["tokens"]:
            inputs = [x[i : i + tokens].to(dtype).pin_memory() for i in range(0, 16 * tokens, tokens)]
            for kind, module in kinds.items():
                def call(i):
                    return module(inputs[i % 16].cuda(non_blocking=True)).cpu()

                got = torch.cat([call(i).float() for i in range(16)])
                wanted = y[: len(got)]
                distance = ((got - wanted).norm(dim=1) / wanted.norm(dim=1)).median().item()
                timed(call, options["seconds"])
                rounds = [statistics.median(timed(call, options["seconds"])) for _ in range(options["rounds"])]
                results.append({"T": tokens, "precision": precision, "kind": kind, "rounds": rounds, "distance": distance})
    print(json.dumps({"torch": torch.__version__, "device": torch.cuda.get_device_name(), "results": results}))


main()
