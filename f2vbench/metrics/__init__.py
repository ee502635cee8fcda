"""Metrics on arrays, one module for each family of tasks.

Start here:
    classification: AUROC, average precision, accuracy, F1, kappa, Brier score and calibration error.
    segmentation: AUROC and average precision of pixels, Dice, sensitivity and specificity.
    retrieval: Recall@K, Precision@K and average precision from ranks, and their values expected by chance.
    exact_neighbours, approximate_index: nearest images and ranks by cosine similarity.
    video: PSNR, SSIM, LPIPS and FVD of generated videos, in the standard and the paper-compatible protocol.
    image_quality, lpips_distance, frechet, i3d: the same metrics one by one.

Supporting modules: names, averaging, ragged_array, bf16_candidates.
"""
