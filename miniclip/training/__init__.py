"""How a CLIP is trained: recipe, batches, the one loop, optimizers, precision, large batches,
several processes."""
