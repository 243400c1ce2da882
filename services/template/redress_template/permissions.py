"""Who may do what with the complaints that template knows."""

from redress_chassis import ANYTHING, Permissions
from redress_template.domain.complaint import Complaint


def known(complaint: Complaint) -> bool:
    """There is something to see once its registration was known."""
    return complaint.observed.number is not None


PERMISSIONS = Permissions({"GET /complaints/{complaint}": {"supervisor": ANYTHING}}, known=known)
