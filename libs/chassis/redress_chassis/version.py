"""Which release this is. Every package of the repository has the same version; which build of it runs is `REDRESS_BUILD`."""

VERSION = "0.1.0"
