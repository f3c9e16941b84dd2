"""The elementary network: its losses for many weights at once, its penalties, their gradients."""
