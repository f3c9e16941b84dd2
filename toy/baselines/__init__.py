"""What the hypernetwork is compared with: searches, unrolled steps, surrogates."""
