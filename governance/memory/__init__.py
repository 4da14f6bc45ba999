"""Memory of the daemon's earlier ops, as advice to the phases. It can raise a tier and add context, no more."""
