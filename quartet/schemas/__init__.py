"""The JSON of the API as pydantic models: what requests ask for and what answers say."""
