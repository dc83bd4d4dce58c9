"""How large would an edge have to be to be seen?"""

POWER_Z = 0.84  # 80 % power.


def smallest_visible_edge(
    base_rate: float, n: int, n_in: float, z_critical: float, deff: float = 1.0
) -> float | None:
    """Smallest lift in win rate (a fraction) that 80 % of such histories would show.

    (z + .84) sqrt(p q (1/n_in + 1/(n - n_in)) deff) (two-proportion power, Fleiss 1981, 3.2).
    None where base_rate plus it exceeds 1, so that no edge could be visible yet, and where a
    side has no trades or the book only wins or only loses.
    """
    if not (0 < n_in < n and 0 < base_rate < 1):
        return None
    variance = base_rate * (1 - base_rate) * (1 / n_in + 1 / (n - n_in)) * deff
    edge = (z_critical + POWER_Z) * float(variance**0.5)
    return edge if base_rate + edge <= 1 else None
