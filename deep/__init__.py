"""Self-tuning networks in PyTorch, on CPU and CUDA (MacKay et al. 2019; Bae & Grosse 2020)."""
