using System.Data;
using Dapper;
using Microsoft.Data.Sqlite;

namespace SecureMessaging.Server.Platform.Data;

/// <summary>All global settings of Dapper. SQLite stores ids as 16-byte blobs and times as Unix seconds.</summary>
internal static class DapperTypes
{
    public static void Register()
    {
        DefaultTypeMap.MatchNamesWithUnderscores = true;
        SqlMapper.RemoveTypeMap(typeof(Guid));
        SqlMapper.RemoveTypeMap(typeof(Guid?));
        SqlMapper.RemoveTypeMap(typeof(DateTime));
        SqlMapper.RemoveTypeMap(typeof(DateTime?));
        SqlMapper.AddTypeHandler(new GuidHandler());
        SqlMapper.AddTypeHandler(new DateTimeHandler());
    }

    private sealed class GuidHandler : SqlMapper.TypeHandler<Guid>
    {
        public override void SetValue(IDbDataParameter parameter, Guid value) =>
            parameter.Value = parameter is SqliteParameter ? value.ToByteArray(bigEndian: true) : value;

        public override Guid Parse(object value) => value is byte[] bytes ? new Guid(bytes, bigEndian: true) : (Guid)value;
    }

    private sealed class DateTimeHandler : SqlMapper.TypeHandler<DateTime>
    {
        public override void SetValue(IDbDataParameter parameter, DateTime value) =>
            parameter.Value = parameter is SqliteParameter ? new DateTimeOffset(value).ToUnixTimeSeconds() : value;

        public override DateTime Parse(object value) =>
            value is long seconds ? DateTimeOffset.FromUnixTimeSeconds(seconds).UtcDateTime : DateTime.SpecifyKind((DateTime)value, DateTimeKind.Utc);
    }
}
