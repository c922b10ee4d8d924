"""What the dials of painting do, measured: intensity, blends, edits, prompts.

:func:`uniemo.dials.measure.measure_dials` paints and asks judges that took no part in the
training; :func:`uniemo.dials.page.write_page` writes ``dials.md`` and its figures.
"""
