"""Settings models, their presets, and the parsing of command-line arguments and YAML files."""
