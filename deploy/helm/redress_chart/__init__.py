"""Makes and checks the Helm chart without a cluster: what is derived of it, its renders, and what an auditor would ask of them."""
