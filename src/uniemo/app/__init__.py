"""The local page: read a photo, paint, blend and edit in a browser (extra ``app``)."""
