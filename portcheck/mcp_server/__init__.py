"""portcheck for agents and editors: its commands as tools of the Model Context Protocol."""
