"""Streams, their entries, and the catalogue of record tables."""

import sqlalchemy as sa
from alembic import context, op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the first schema."""
    layout = context.config.attributes["layout"]
    op.create_table(
        layout.streams,
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.UniqueConstraint("tenant", "name"),
        schema=layout.schema,
    )
    op.create_table(
        layout.entries,
        sa.Column("stream", sa.BigInteger, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("stream", "seq"),
        schema=layout.schema,
    )
    op.create_table(
        layout.catalogue,
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("field", sa.Text, nullable=False),  # empty in the row that stands for the table itself
        sa.Column("type", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", "field"),
        schema=layout.schema,
    )


def downgrade() -> None:
    """Refuse: a database never goes back."""
    raise NotImplementedError("a database never goes back to an older schema; restore a backup instead")
