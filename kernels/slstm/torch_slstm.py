"""The sLSTM in plain PyTorch, all sequences at once: one batched matrix product per token, on any device.

Tokens are put in the order of reading, sequence by sequence within one step; the sequences are sorted by length, so
those still running are always the first.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from bio_xlstm.kernels.slstm.scan import SEGMENT, Adjoint, Layout, run_scan
from bio_xlstm.kernels.slstm.state import SlstmState


class _Steps(NamedTuple):
    """Say which rows of the tokens, in the order of reading, belong to each step."""

    token: Tensor  # (T,) the token at each row
    rows: tuple[slice, ...]  # one for each step


class _Factors(NamedTuple):
    """Hold what the way back multiplies with in one segment, (H, rows, K) each."""

    opened: Tensor  # sigmoid(o)
    keep: Tensor  # the factor of the old memory over n
    share: Tensor  # the share of the new token in n
    old: Tensor  # the share of the old memory in n
    q: Tensor  # c / n
    n: Tensor
    shift: Tensor  # d q / d (i - l)
    top: Tensor  # the share of the old memory in the gradient of the running maximum
    df: Tensor  # d log(f) / d f
    dz: Tensor  # d q / d z
    do: Tensor  # d h / d o


def _plan_steps(layout: Layout) -> _Steps:
    """Put the tokens in the order of reading."""
    device, length = layout.start.device, layout.length
    place = torch.repeat_interleave(torch.arange(len(length), device=device), length)  # (T,)
    step = torch.arange(len(place), device=device) - (length.cumsum(0) - length)[place]
    token = layout.start[place] + layout.direction * step
    rows, active, at = [], len(layout.lengths), 0
    for position in range(layout.lengths[0]):
        while layout.lengths[active - 1] <= position:
            active -= 1
        rows.append(slice(at, at + active))
        at += active
    return _Steps(token[torch.argsort(step, stable=True)], tuple(rows))


def _factors(log_i: Tensor, log_f: Tensor, m: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the factors of the old and the new memory, the new m, and log(f) + m."""
    old = log_f + m
    m = torch.maximum(old, log_i)
    return torch.exp(old - m), torch.exp(log_i - m), m, old


def _trace(gates: Tensor, rows: Sequence[slice], mark: Tensor) -> _Factors:
    """Move the memory over the tokens of one segment again, from gates (H, rows, 4, K) and mark (3, H, N, K)."""
    log_i, f, z, o = gates.unbind(2)
    log_f, z, opened = logsigmoid(f), torch.tanh(z), torch.sigmoid(o)
    parts = []
    c, n, m = mark
    for row in rows:
        active = row.stop - row.start
        before = c[:, :active], n[:, :active]
        keep, write, m, old = _factors(log_i[:, row], log_f[:, row], m[:, :active])
        c, n = keep * before[0] + write * z[:, row], keep * before[1] + write
        top = 0.5 * ((old > log_i[:, row]).to(m) + (old >= log_i[:, row]).to(m))
        parts.append((keep, write, *before, n, top))
    keep, write, c, n, after, top = (torch.cat(part, 1) for part in zip(*parts, strict=True))
    keep, share = keep / after, write / after
    old, kept = keep * n, keep * c
    q = kept + share * z
    shift, dz, do = share * (old * z - kept), share * (1 - z * z), q * opened * torch.sigmoid(-o)
    return _Factors(opened, keep, share, old, q, after, shift, top, torch.sigmoid(-f), dz, do)


class TorchScan:
    """Read all sequences step by step."""

    def forward(
        self, x: Tensor, r: Tensor, b: Tensor, state: SlstmState, layout: Layout, keep: bool
    ) -> tuple[Tensor, SlstmState, tuple[Tensor, ...]]:
        """Return y, the final state, and the gate pre-activations, the order of the tokens and the kept memories."""
        steps = _plan_steps(layout)
        gates = x.flatten(2).transpose(0, 1)[:, steps.token] + b.flatten(1)[:, None]  # (H, T, 4K)
        parts = gates.unflatten(2, (4, -1))
        h, c, n, m = (part[layout.order].transpose(0, 1).contiguous() for part in state)  # (H, N, K)
        outputs, marks = [], []
        for position, row in enumerate(steps.rows):
            now = slice(0, row.stop - row.start)
            if keep and position % SEGMENT == 0:
                marks.append(torch.stack([part[:, now] for part in (c, n, m)]))
            gates[:, row].baddbmm_(h[:, now], r.flatten(2))
            log_i, f, z, o = parts[:, row].unbind(2)
            kept, write, m[:, now], _ = _factors(log_i, logsigmoid(f), m[:, now])
            c[:, now].mul_(kept).addcmul_(write, torch.tanh(z))
            n[:, now].mul_(kept).add_(write)
            h[:, now] = c[:, now] / n[:, now] * torch.sigmoid(o)
            outputs.append(h[:, now].clone())
        y = x.new_empty(x.shape[0], *h.shape[::2])
        y[steps.token] = torch.cat(outputs, 1).transpose(0, 1)
        last = [part.new_empty(part.shape) for part in state]
        for part, sorted_part in zip(last, (h, c, n, m), strict=True):
            part[layout.order] = sorted_part.transpose(0, 1)
        return y, SlstmState(*last), (gates, *marks) if keep else ()

    def backward(
        self, kept: Sequence[Tensor], r: Tensor, dy: Tensor, end: Adjoint, layout: Layout
    ) -> tuple[Tensor, SlstmState]:
        """Return the gradients of x and of the initial state."""
        steps, (gates, *marks) = _plan_steps(layout), kept
        parts = gates.unflatten(2, (4, -1))
        dgates = torch.empty_like(parts)  # (H, T, 4, K)
        dout = dy.transpose(0, 1)[:, steps.token]  # (H, T, K)
        dh, dc, dl, dm = (part[layout.order].transpose(0, 1).contiguous() for part in end)  # (H, N, K)
        dn = torch.empty_like(dc)
        for segment in reversed(range(len(marks))):
            rows = steps.rows[segment * SEGMENT : (segment + 1) * SEGMENT]
            at = rows[0].start
            local = [slice(row.start - at, row.stop - at) for row in rows]
            factors = _trace(parts[:, at : rows[-1].stop], local, marks[segment])
            for row, here in zip(reversed(rows), reversed(local), strict=True):
                now = slice(0, row.stop - row.start)
                self._return(
                    _Factors(*(part[:, here] for part in factors)),
                    dout[:, row],
                    [part[:, now] for part in (dh, dc, dn, dl, dm)],
                    dgates[:, row],
                )
                torch.bmm(dgates[:, row].flatten(2), r.flatten(2).mT, out=dh[:, now])
        dx = dy.new_empty(dy.shape[0], dy.shape[1], 4, dy.shape[2])
        dx[steps.token] = dgates.transpose(0, 1)
        dstate = [torch.empty_like(part) for part in end]
        for part, sorted_part in zip(dstate, (dh, dc, dn, dl + dm), strict=True):
            part[layout.order] = sorted_part.transpose(0, 1)
        return dx, SlstmState(*dstate)

    @staticmethod
    def _return(at: _Factors, dy: Tensor, carried: Sequence[Tensor], dgates: Tensor) -> None:
        """Carry the gradients of c, n, l and m back over one token and write dgates (H, N, 4, K)."""
        dh, dc, dn, dl, dm = carried
        total = dy + dh
        dq = dc * at.n + total * at.opened
        shift, top = dq * at.shift, at.top * dm
        old = dl * at.old - shift
        dgates[:, :, 0] = dl * at.share + shift + (dm - top)
        dgates[:, :, 1] = (old + top) * at.df
        dgates[:, :, 2] = dq * at.dz
        dgates[:, :, 3] = total * at.do
        dc.copy_(dq * at.keep)
        dn.copy_((dl - dq * at.q) * at.keep)
        dl.copy_(old)
        dm.copy_(top)


def slstm_torch(x: Tensor, r: Tensor, b: Tensor, **form: Any) -> tuple[Tensor, SlstmState]:
    """Run the sLSTM step by step on any device; see `bio_xlstm.kernels.slstm.slstm` for shapes."""
    return run_scan(TorchScan(), x, r, b, form["state"], form["cu_seqlens"], form["reverse"])
