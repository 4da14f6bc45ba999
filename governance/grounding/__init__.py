"""Grounding: convergence records of claims, their outcomes, trust, and the policy that uses them."""
