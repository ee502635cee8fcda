"""Data sets: task cards, readers, checks, splits and episodes.

Modules by subject:

- Task cards: `task_cards`, `label_classes`; a task with its images: `task_data`, `external_validation`,
  `simulated_data`.
- From a folder to an index with one row per image: `layouts` (one reader per published folder structure), `index`,
  `index_rows`, `folder_scan`, `tables`.
- Checks: `file_facts` (hashes and sizes), `validation` (refuses unusable data), `survey` (reports all findings),
  `duplicates`, `near_duplicates`.
- What a model is trained and tested on: `splits`, `episodes`.
- Images: `images`, `photographs`, `field_of_view`, `square_crop`, `shading_correction`, `working_resolution`.
- Angiograms and videos: `cases`, `case_table`, `angiograms`, `video_folders`, `video_files`.
"""
