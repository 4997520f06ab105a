"""A worker that dies before or after any of its storage calls loses no job."""

