"""Augmentation of a whole batch at each example's own strengths, on the batch's device."""
