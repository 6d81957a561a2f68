"""Codecs of the OpenAI protocols, shared by Ergaster plugins."""
