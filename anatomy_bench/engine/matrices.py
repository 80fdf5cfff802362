"""Arithmetic on single weight matrices that PyTorch has no operator for."""

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor


def with_magnitudes_of(directions: Tensor, magnitudes: Tensor, rank: int | None) -> Tensor:
    """The singular vectors of one matrix with the singular values of another.

    Args:
        directions: shape (…, rows, columns).
        magnitudes: same shape.
        rank: how many singular values to keep, the largest first; `None` for all.

    Returns:
        Σ_i s_i(magnitudes) u_i v_iᵀ with u_i and v_i of `directions`, in its precision. Directions with a
        singular value of zero are not determined and are left out, because any choice would be arbitrary.
    """
    if directions.shape[-2] > directions.shape[-1]:
        return with_magnitudes_of(directions.mT, magnitudes.mT, rank).mT
    # From the eigenvectors of M Mᵀ in double precision: several times faster than a singular value decomposition, and
    # exact for singular values down to 10⁻⁸ of the largest, where the weights' own precision ends.
    source = directions.double()
    target = magnitudes.double()
    with threadpool_limits(1):  # threads gain little here, and cost a hundredfold if another process uses a core
        squares, left = torch.linalg.eigh(source @ source.mT)
        own = torch.linalg.eigvalsh(target @ target.mT).clamp(min=0).sqrt()
    rows = squares.shape[-1]
    is_kept = squares > rows * torch.finfo(torch.float64).eps * squares[..., -1:]
    if rank is not None:
        is_kept[..., : max(rows - rank, 0)] = False  # eigenvalues ascend
    factors = torch.where(is_kept, own / torch.where(is_kept, squares, 1.0).sqrt(), 0.0)
    hybrid: Tensor = (left * factors[..., None, :]) @ (left.mT @ source)
    return hybrid.to(directions.dtype)


def noise_like(matrix: Tensor, relative_norm: float, seed: int) -> Tensor:
    """Gaussian noise of the matrix's shape, device and precision.

    Args:
        matrix: what the noise is for.
        relative_norm: Frobenius norm of the noise over that of the matrix.
        seed: of a separate generator; the global one is not touched.
    """
    drawn = torch.randn(matrix.shape, generator=torch.Generator().manual_seed(seed)).to(matrix.device)
    noise: Tensor = drawn * (relative_norm * matrix.float().norm() / drawn.norm())
    return noise.to(matrix.dtype)


def gaussian_like(tensor: Tensor, deviation: float, seed: int) -> Tensor:
    """Gaussian noise of the tensor's shape, device and precision.

    Args:
        tensor: what the noise is for.
        deviation: standard deviation of the noise.
        seed: of a separate generator; the global one is not touched. Drawn on the CPU, so the same on every device.
    """
    drawn = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(seed))
    return (deviation * drawn).to(tensor.device, tensor.dtype)
