"""Figures of a report, drawn from `f2vbench.Results` alone; nothing is computed again by an encoder.

- `catalogue`: all figures by name, `draw_figures`, and the reasons for missing ones.
- `source`, `predictions`, `vessel_pixels`: the data that figures need. `example_selection`: which images they show.
- `style`, `encoder_style`, `panels`, `styled_figure`, `figure`: sizes, colours, shared parts of panels, and files.
- `bars`, `boxes`, `learning_curves`, `curves`, `reliability`, `confusion`, `critical_difference`, `attention`, `cost`,
  `retrieval`: figures of metrics and predictions.
- `segmentation_examples`, `worst_cases`, `retrieval_examples`, `contact_sheet`: figures of photographs, drawn with
  `photographs` and `retrieved_images`.
- `embedding_map`: embeddings in two dimensions, computed by `projections`.
- `published_results`: values from the papers, shown as stars.
"""
