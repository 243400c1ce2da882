"""HTML pages of a service: templates, escaping, and the headers under which a browser runs nothing that stands in a page."""

from redress_chassis.pages.templates import BadTemplate, Pages

__all__ = ["BadTemplate", "Pages"]
