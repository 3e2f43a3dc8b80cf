using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Limiting;

/// <summary>
/// Bounds the bytes of request bodies under way, for each account (or address, before anyone has signed in) and for each address in all. A body is in memory until it has
/// arrived as a whole, and a client that sends most of it at once may take hours for the rest. Kept in memory while such requests last.
/// </summary>
internal static class BodyLimits
{
    private const long OfOne = 64 * 1024 * 1024;
    private const long OfAddress = 4 * OfOne;

    public static void UseBodyLimits(this WebApplication app)
    {
        if (!app.Services.GetRequiredService<IOptions<RateLimitOptions>>().Value.Enabled)
            return;
        var (ones, addresses) = (new Held(OfOne), new Held(OfAddress));
        app.Use((context, next) => Size(context) is var size and > 0 ? LimitAsync(context, next, size) : next(context));

        async Task LimitAsync(HttpContext context, RequestDelegate next, long size)
        {
            var address = ClientAddress.Of(context);
            var one = context.User.Identity?.IsAuthenticated == true ? Caller.From(context.User).UserId : address;
            if (!ones.TryTake(one, size))
            {
                await RefuseAsync(context);
                return;
            }

            try
            {
                if (!addresses.TryTake(address, size))
                {
                    await RefuseAsync(context);
                    return;
                }

                try
                {
                    await next(context);
                }
                finally
                {
                    addresses.Return(address, size);
                }
            }
            finally
            {
                ones.Return(one, size);
            }
        }
    }

    /// <summary>What the body may have, when its length is not known before.</summary>
    private static long Size(HttpContext context)
    {
        // What a socket carries is no body, also over HTTP/2.
        if (context.AsksForWebSocket() || context.Features.Get<IHttpRequestBodyDetectionFeature>() is not { CanHaveBody: true })
            return 0;
        var most = context.Features.Get<IHttpMaxRequestBodySizeFeature>()?.MaxRequestBodySize ?? OfOne;
        return Math.Min(context.Request.ContentLength ?? most, most);
    }

    private static Task RefuseAsync(HttpContext context) => ProblemMapper.WriteAsync(
        context, new ErrorBody(ErrorCode.RateLimited, "Too many bytes of requests are under way at once.", Retryable: true, RetryAfterMs: 1000), context.RequestAborted);

    private sealed class Held(long most)
    {
        private readonly ConcurrentDictionary<Guid, long> bytes = new();

        public bool TryTake(Guid key, long size)
        {
            if (bytes.AddOrUpdate(key, static (_, size) => size, static (_, held, size) => held + size, size) <= most)
                return true;
            Return(key, size);
            return false;
        }

        public void Return(Guid key, long size)
        {
            if (bytes.AddOrUpdate(key, static (_, _) => 0, static (_, held, size) => held - size, size) == 0)
                bytes.TryRemove(KeyValuePair.Create(key, 0L));
        }
    }
}
