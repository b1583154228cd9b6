"""The exact interval of a proportion (Clopper & Pearson 1934): never narrower than it claims, also for few events."""

from scipy.special import betaincinv


def proportion_interval(events: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """[low, high] in 0..1 of the probability; [0, 1] for no trials. ValueError unless 0 <= events <= trials.

    >>> low, high = proportion_interval(0, 300)
    >>> low, round(high, 4)
    (0.0, 0.0122)
    """
    if not 0 <= events <= trials:
        raise ValueError(f"{events} events of {trials} trials")
    outside = (1 - confidence) / 2
    low = float(betaincinv(events, trials - events + 1, outside)) if events else 0.0
    high = float(betaincinv(events + 1, trials - events, 1 - outside)) if events < trials else 1.0
    return low, high
