"""A local page that shows what a generator makes of one photograph. Only `f2vbench.app.page` imports gradio."""
