"""How often is a claim false, and how often is an edge found? On histories made to know it."""
