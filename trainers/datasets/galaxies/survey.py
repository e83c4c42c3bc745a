"""The two imaging surveys whose cut-outs the drawn galaxies resemble.

Pixel scale and seeing: SDSS, York et al. (2000), arXiv astro-ph/0006396, and its imaging summary of Data Release 16;
DES, Abbott et al. (2018), arXiv 1801.03181, table 1. The noise is ours: DES is about two magnitudes deeper.
"""

from dataclasses import dataclass

from largebatch.spaces.errors import UserError
from largebatch.spaces.nearest import nearest

CUT_OUT_PIXELS = 200
"""A cut-out shows so many of the survey's pixels, however many the image has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a survey's camera does to the sky.

    Args:
        pixel_arcsec: The side of one of its pixels.
        seeing_arcsec: Full width at half maximum of its point-spread function, the median.
        sky_noise: Standard deviation of one of its pixels, in the unit of brightness (``scene``).
    """

    pixel_arcsec: float
    seeing_arcsec: float
    sky_noise: float

    @property
    def field_arcsec(self) -> float:
        """The side of a cut-out."""
        return CUT_OUT_PIXELS * self.pixel_arcsec


SURVEYS = {
    "sdss": Survey(pixel_arcsec=0.396, seeing_arcsec=1.32, sky_noise=0.022),
    "des": Survey(pixel_arcsec=0.263, seeing_arcsec=0.96, sky_noise=0.006),
}


def survey_of(name: str) -> Survey:
    """The survey of a name.

    Raises:
        UserError: if there is none.
    """
    if name not in SURVEYS:
        raise UserError(f"survey: unknown survey {name!r}{nearest(name, SURVEYS)}")
    return SURVEYS[name]
